import CAllocations

/// Heap allocations of the calling thread.
package enum Allocations {
  /// Whether they are counted: not under a sanitizer.
  package static var areCounted: Bool { callocations_are_counted() }

  /// The number of allocations in `body`.
  @inline(never)
  package static func count(_ body: () -> Void) -> Int {
    let before = callocations_count()
    body()
    return Int(callocations_count() - before)
  }
}
