import Bus
import Counters
import Failures
import GuestMemory
import KVM
import Synchronization
import Threads

/// Sets up in KVM the accelerations of bus ranges: ioeventfds for doorbells, and the ring for coalesced writes.
///
/// If KVM refuses, the access exits instead and reaches the device by the bus. That is slower but still correct.
final class KVMBinding: BusObserver, WriteCoalescer, Sendable {
  private let machine: VirtualMachine
  private let bus: Bus
  private let disabled: Set<AccelerationSwitch>
  private let ring: CoalescedRing?
  /// Counts held writes. Changed only under the ring's lock.
  let counters = Counters(owner: "coalesced")
  private let refusals: KVMRefusals
  private let trace: AccessTrace?
  /// The names of ranges with a binding that KVM refused. KVM also refuses to remove such a binding.
  private let refused = Guarded<Set<String>>(.leaf, [])
  /// The pages of registers of all mapped ranges.
  private let pages = Guarded<[RegisterPage]>(.leaf, [])

  init(
    machine: VirtualMachine, refusals: KVMRefusals, bus: Bus, ring: CoalescedRing?, disabled: Set<AccelerationSwitch>,
    trace: AccessTrace? = nil
  ) {
    self.machine = machine
    self.refusals = refusals
    self.bus = bus
    self.ring = ring
    self.disabled = disabled
    self.trace = trace
  }

  func mapped(_ range: BusRange) { bind(range, added: true) }
  func willUnmap(_ range: BusRange) {
    bind(range, added: false)
    // KVM now holds no new writes to the range. Apply the held ones before the addresses get another owner.
    applyHeldWrites()
  }

  private func bind(_ range: BusRange, added: Bool) {
    let isPort = range.space == .port
    for acceleration in range.accelerations {
      switch acceleration {
      case .doorbell(let offset, let width, let match, let event):
        guard !disabled.contains(.ioeventfd) else { continue }
        let place = VirtualMachine.Place(isPort: isPort, address: range.base + offset, size: UInt32(width))
        attempt(range, added) { () throws(Failure) in
          try machine.setIoeventfd(event, at: place, match: match, added: added)
        }
      case .coalesced(let offset, let size):
        guard !disabled.contains(.coalescing), ring != nil else { continue }
        let place = VirtualMachine.Place(
          isPort: isPort, address: range.base + offset, size: UInt32(truncatingIfNeeded: size))
        attempt(range, added) { () throws(Failure) in try machine.setCoalesced(place, added: added) }
      case .page(let offset, let page):
        if added { page.place(at: range.base + offset, by: self) } else { page.displace() }
        pages.withLock { pages in
          pages.removeAll { $0 === page }
          if added { pages.append(page) }
        }
      }
    }
    if !added { refused.withLock { _ = $0.remove(range.name) } }
  }

  /// Binds or unbinds a part of `range`, and notes a refusal.
  private func attempt(_ range: BusRange, _ added: Bool, _ body: () throws(Failure) -> Void) {
    do {
      try body()
    } catch {
      if added { refused.withLock { _ = $0.insert(range.name) } }
      if added || !refused.withLock({ $0.contains(range.name) }) { refusals.note(error) }
    }
  }

  /// A vCPU could not store to a page. Opens the pages that are closed.
  func openPages() { for page in pages.withLock({ $0 }) { page.open() } }

  /// Applies held writes in order. Called before an access that exited is served, and by I/O threads.
  @inline(__always)
  func applyHeldWrites() {
    guard let ring else { return }
    ring.drain { isPort, address, data in
      counters.add(.coalescedWrites)
      let space: AddressSpaceKind = isPort ? .port : .memory
      let range = bus.write(space, address, width: data.count, from: data)
      trace?.record(by: "held ", space, address, width: data.count, isWrite: true, data, range)
    }
  }
}

/// Shows pages of registers by memory slots.
extension KVMBinding: PageMapper {
  func mapPage(_ host: UnsafeMutableRawPointer, at address: UInt64) -> UInt32? {
    refusals.attempt { () throws(Failure) in try machine.addPage(host, at: address) }
  }

  func unmapPage(_ number: UInt32) {
    refusals.attempt { () throws(Failure) in try machine.removePage(number) }
  }
}
