import Bus
import Registers

/// The PCI configuration access capability (VIRTIO 1.2, 4.1.4.9): BAR 0 through configuration space, for drivers that
/// cannot map it yet. Used under the host bridge's lock, as all of configuration space.
struct PCIWindow {
  /// Where the capability begins; 0 before it is there.
  var offset = 0
  /// The value last read through the window, one byte at a time.
  private var latched: UInt64 = 0

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

  mutating func read(_ register: Int, function: PCIFunction) -> UInt8? {
    let data = offset + VirtioPCI.capabilityData
    guard offset > 0, (data..<data + 4).contains(register) else { return nil }
    guard let access = target(function) else { return 0 }
    // The first byte makes the access, so that a register with side effects is read once.
    if register == data { latched = function.read(access) }
    let index = register - data
    return index < access.width ? UInt8(truncatingIfNeeded: latched >> UInt64(8 * index)) : 0
  }

  mutating func written(_ register: Int, function: PCIFunction) {
    let data = offset + VirtioPCI.capabilityData
    guard offset > 0, let access = target(function) else { return }
    // Bytes are told in order; the last one of the access makes it.
    guard register == data + access.width - 1 else { return }
    var value: UInt64 = 0
    for index in 0..<access.width {
      value |= UInt64(function.storedConfiguration(data + index)) << UInt64(8 * index)
    }
    function.write(access, value)
  }
}
