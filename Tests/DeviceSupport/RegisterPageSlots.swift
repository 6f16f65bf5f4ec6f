import Bus
import Synchronization

/// Plays KVM for pages of registers: keeps the memory that the guest would access, by its address.
package final class RegisterPageSlots: BusObserver, PageMapper {
  private struct State {
    var memory: [UInt64: UInt] = [:]
    var places: [UInt32: UInt64] = [:]
    var next: UInt32 = 0
  }
  private let state = Mutex(State())

  package init() {}

  package func mapped(_ range: BusRange) {
    for case .page(let offset, let page) in range.accelerations { page.place(at: range.base + offset, by: self) }
  }

  package func willUnmap(_ range: BusRange) {
    for case .page(_, let page) in range.accelerations { page.displace() }
  }

  package func mapPage(_ host: UnsafeMutableRawPointer, at address: UInt64) -> UInt32? {
    let host = UInt(bitPattern: host)
    return state.withLock { state in
      state.memory[address] = host
      state.places[state.next] = address
      state.next += 1
      return state.next - 1
    }
  }

  package func unmapPage(_ number: UInt32) {
    state.withLock { state in if let address = state.places.removeValue(forKey: number) { state.memory[address] = nil }
    }
  }

  /// Addresses at which there is a page.
  package var shown: [UInt64] { state.withLock { $0.memory.keys.sorted() } }

  /// The guest's view of `address`; nil if an access exits.
  package func word(_ address: UInt64) -> UnsafeMutablePointer<UInt32>? {
    state.withLock { state in
      state.memory[address & ~0xFFF].flatMap { UnsafeMutableRawPointer(bitPattern: $0) }?
        .advanced(by: Int(address & 0xFFC)).assumingMemoryBound(to: UInt32.self)
    }
  }
}
