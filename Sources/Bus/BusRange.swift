import Threads

/// The two address spaces of a PC.
public enum AddressSpaceKind: Sendable { case port, memory }

/// A part of a range whose writes KVM may handle without a return to user space.
public enum Acceleration: Sendable {
  /// A write of `width` bytes at `offset` (0: of any width) only signals `event`: an ioeventfd. With `match`, only a
  /// write of that value does.
  case doorbell(offset: UInt64, width: Int, match: UInt64?, event: EventDescriptor)
  /// KVM may hold writes to these bytes in its coalesced ring, until the next exit or until `Bus.applyHeldWrites`.
  case coalesced(offset: UInt64, size: UInt64)
  /// The page of registers at `offset` may be RAM for the guest, while the target shows it.
  case page(offset: UInt64, page: RegisterPage)
}

/// A range of one address space, with the target that answers and the accelerations for KVM.
public final class BusRange: Sendable {
  public let name: String
  public let space: AddressSpaceKind
  public let base: UInt64
  public let size: UInt64
  public let target: any BusTarget
  /// The number by which the target distinguishes its ranges.
  public let region: Int
  public let accelerations: [Acceleration]

  public init(
    _ name: String, _ space: AddressSpaceKind, at base: UInt64, size: UInt64, target: any BusTarget, region: Int = 0,
    accelerations: [Acceleration] = []
  ) {
    self.name = name
    self.space = space
    self.base = base
    self.size = size
    self.target = target
    self.region = region
    self.accelerations = accelerations
  }

  @inline(__always)
  func contains(_ address: UInt64) -> Bool { address >= base && address - base < size }
}
