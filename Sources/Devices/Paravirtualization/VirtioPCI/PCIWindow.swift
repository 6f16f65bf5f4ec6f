import Bus
import Registers
import Synchronization

/// The PCI configuration access capability (VIRTIO 1.2, 4.1.4.9): BAR 0 through configuration space, for drivers that
/// cannot map it yet.
final class PCIWindow: Sendable {
  /// Where the capability begins.
  private let offset: Int
  /// The value last read through the window, one byte at a time.
  private let latched = Atomic<UInt64>(0)

  init(offset: Int) { self.offset = offset }

  private func target(_ function: PCIFunction) -> BusAccess? {
    func word(_ register: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(function.storedConfiguration(offset + register + $1)) << UInt32(8 * $1) }
    }
    let bar = function.storedConfiguration(offset + VirtioPCI.capabilityBAR)
    let place = word(VirtioPCI.capabilityOffset)
    let length = word(VirtioPCI.capabilityLength)
    guard bar == 0, [1, 2, 4].contains(length), place % length == 0, place < VirtioFunction.Layout.size else {
      return nil
    }
    return BusAccess(region: 0, offset: UInt64(place), width: Int(length))
  }

  func read(_ register: Int, function: PCIFunction) -> UInt8? {
    let data = offset + VirtioPCI.capabilityData
    guard (data..<data + 4).contains(register) else { return nil }
    guard let access = target(function) else { return 0 }
    // The first byte makes the access, so that a register with side effects is read once.
    if register == data { latched.store(function.read(access), ordering: .relaxed) }
    let index = register - data
    guard index < access.width else { return 0 }
    return UInt8(truncatingIfNeeded: latched.load(ordering: .relaxed) >> UInt64(8 * index))
  }

  func written(_ register: Int, function: PCIFunction) {
    let data = offset + VirtioPCI.capabilityData
    guard let access = target(function) else { return }
    // Bytes are told in order; the last one of the access makes it.
    guard register == data + access.width - 1 else { return }
    var value: UInt64 = 0
    for index in 0..<access.width {
      value |= UInt64(function.storedConfiguration(data + index)) << UInt64(8 * index)
    }
    function.write(access, value)
  }
}
