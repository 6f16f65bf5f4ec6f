import Counters
import Failures
import Threads

/// What KVM refused while a machine ran: a binding that makes an access faster, a route, or an interrupt.
///
/// The guest goes on where it can, so nothing else would report it: an access that should signal an eventfd exits instead,
/// and a figure would be that of a slower machine.
package final class KVMRefusals: Sendable {
  let counters = Counters(owner: "kvm")
  private let state = Guarded<Failure?>(.leaf, nil)

  /// The first refusal; nil for none.
  package var first: Failure? { state.withLock { $0 } }

  /// How many there were.
  package var count: UInt64 { state.withLock { _ in counters[.kvmRefusals] } }

  /// Runs `body`; nil when KVM refused, which is counted.
  @discardableResult
  func attempt<Value>(_ body: () throws(Failure) -> Value) -> Value? {
    do {
      return try body()
    } catch {
      note(error)
      return nil
    }
  }

  func note(_ refusal: Failure) {
    state.withLock { first in
      counters.add(.kvmRefusals)
      if first == nil { first = refusal }
    }
  }
}
