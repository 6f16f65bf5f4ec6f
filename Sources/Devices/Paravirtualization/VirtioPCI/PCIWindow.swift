import Bus
import Registers
import Synchronization

/// The PCI configuration access capability (VIRTIO 1.2, 4.1.4.9). It accesses BAR 0 through configuration space, for
/// drivers that cannot map the BAR yet.
final class PCIWindow: Sendable {
  /// Offset of the capability in configuration space.
  private let offset: Int
  /// The last value read from BAR 0. The guest gets it byte by byte.
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
    // Only the first byte accesses BAR 0, so that a register with side effects is read once.
    if register == data { latched.store(function.read(access), ordering: .relaxed) }
    let index = register - data
    guard index < access.width else { return 0 }
    return UInt8(truncatingIfNeeded: latched.load(ordering: .relaxed) >> UInt64(8 * index))
  }

  func written(_ register: Int, function: PCIFunction) {
    let data = offset + VirtioPCI.capabilityData
    guard let access = target(function) else { return }
    // Bytes arrive in order. The last byte of the data makes the access.
    guard register == data + access.width - 1 else { return }
    var value: UInt64 = 0
    for index in 0..<access.width {
      value |= UInt64(function.storedConfiguration(data + index)) << UInt64(8 * index)
    }
    function.write(access, value)
  }
}
