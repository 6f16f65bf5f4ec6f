import Threads

/// The two address spaces of a PC.
public enum AddressSpaceKind: Sendable { case port, memory }

/// How an access to a part of a range may be served without a return to user space.
public enum Acceleration: Sendable {
  /// A write of `width` bytes at `offset` (0: of any width) signals `event` and is otherwise lost: an ioeventfd.
  case doorbell(offset: UInt64, width: Int, match: UInt64?, event: EventDescriptor)
  /// Writes to these bytes may wait until the next access that exits, or until an I/O thread asks: KVM's coalesced ring.
  case coalesced(offset: UInt64, size: UInt64)
}

/// A claimed span of one address space: the target that answers, and how KVM may serve it faster.
public final class BusRange: Sendable {
  public let name: String
  public let space: AddressSpaceKind
  public let base: UInt64
  public let size: UInt64
  public let target: any BusTarget
  /// The number by which the target tells its ranges apart.
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
