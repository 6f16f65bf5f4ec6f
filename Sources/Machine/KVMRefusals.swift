import Counters
import Failures
import Threads

/// Counts KVM's refusals while a machine runs: of a binding that makes an access faster, a route, or an interrupt.
///
/// The guest usually continues, so nothing else would report a refusal. For example, an access that should signal an
/// eventfd exits instead, and a measurement would show a slower machine.
package final class KVMRefusals: Sendable {
  let counters = Counters(owner: "kvm")
  private let state = Guarded<Failure?>(.leaf, nil)

  /// The first refusal, if any.
  package var first: Failure? { state.withLock { $0 } }

  /// The number of refusals.
  package var count: UInt64 { state.withLock { _ in counters[.kvmRefusals] } }

  /// Runs `body`. Counts a refusal and returns nil for it.
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
