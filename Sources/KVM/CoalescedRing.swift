import CLinux
import Glibc
import Threads

/// The ring of writes that KVM holds instead of exiting (KVM_CAP_COALESCED_MMIO, KVM_CAP_COALESCED_PIO).
///
/// `drain` removes *and applies* entries under one lock. So no thread can act on a later write before an earlier one
/// has reached its device.
// Unchecked: `applying` serializes all who take entries from the shared page.
public final class CoalescedRing: @unchecked Sendable {
  private let ring: UnsafeMutablePointer<kvm_coalesced_mmio_ring>
  private let capacity: UInt32
  /// Keeps the mapping alive.
  private let owner: VirtualCPU
  private let applying = Guarded(.heldWrites, ())

  init(_ page: UnsafeMutableRawPointer, owner: VirtualCPU) {
    ring = page.assumingMemoryBound(to: kvm_coalesced_mmio_ring.self)
    capacity = clinux_coalesced_capacity()
    self.owner = owner
  }

  /// Applies all held writes, oldest first. Returns their number.
  @discardableResult
  public func drain(_ apply: (_ isPort: Bool, _ address: UInt64, _ data: UnsafeRawBufferPointer) -> Void) -> Int {
    // An empty ring costs two loads. A vCPU that adds a write after this check exits later, or another drain follows.
    if clinux_coalesced_first(ring) == clinux_coalesced_last(ring) { return 0 }
    return applying.withLock { _ in
      var count = 0
      // Stop after one lap: another vCPU may keep writing.
      while count < Int(capacity) {
        let first = clinux_coalesced_first(ring)
        guard first != clinux_coalesced_last(ring), first < capacity else { break }
        guard let entry = clinux_coalesced_entry(ring, first) else { break }
        let length = Int(min(entry.pointee.len, 8))
        withUnsafeBytes(of: entry.pointee.data) { bytes in
          apply(
            clinux_coalesced_is_pio(entry) != 0, entry.pointee.phys_addr,
            UnsafeRawBufferPointer(rebasing: bytes[0..<length]))
        }
        clinux_coalesced_set_first(ring, (first + 1) % capacity)
        count += 1
      }
      return count
    }
  }
}
