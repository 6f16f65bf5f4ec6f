import Bus
import Registers
import Synchronization

/// The POST code latch: port 0x80, no interrupt.
///
/// Linux writes here only as a delay, so KVM may hold the writes.
package final class PostCode: ByteTarget {
  private let latch = Atomic<UInt8>(0)

  package init() {}

  /// Maps port 0x80 on `bus`.
  package func attach(to bus: Bus) {
    bus.map(
      BusRange(
        "post-code", .port, at: UInt64(PostCodeRegister.port), size: 1, target: self,
        accelerations: [.coalesced(offset: 0, size: 1)]))
  }

  package func readByte(region: Int, offset: UInt64) -> UInt8 { latch.load(ordering: .relaxed) }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    latch.store(value, ordering: .relaxed)
  }
}
