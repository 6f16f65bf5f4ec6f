import EventLoop

/// The queues of a device that wait for a request, with the word that the driver advances when it adds one.
///
/// The loop looks at the words without the device's lock. A word may be stale, since a driver can reset the device at any
/// time: then the loop serves the queue once, and finds nothing.
final class PolledQueues: Sendable {
  let count: Int
  private let words: LoopBound<[PolledWord?]>

  init(count: Int, loop: EventLoop) {
    self.count = count
    words = LoopBound(loop, Array(repeating: nil, count: count))
  }

  /// `queue` is empty: the next request changes `word`.
  func wait(_ queue: Int, for word: PolledWord?) { words.value[queue] = word }

  /// No queue waits any more: the device is detached.
  func removeAll() { for queue in 0..<count { words.value[queue] = nil } }

  /// Whether the driver added a request to a queue that waits.
  var hasRequest: Bool { words.value.contains { $0?.hasChanged ?? false } }

  /// Calls `body` with each queue that has a request. It waits no more until the device finds it empty again.
  func takeRequests(_ body: (Int) -> Void) {
    for queue in words.value.indices where words.value[queue]?.hasChanged ?? false {
      words.value[queue] = nil
      body(queue)
    }
  }

  /// Calls `body` with each queue that waits.
  func forEachWaiting(_ body: (_ queue: Int, _ word: PolledWord) -> Void) {
    for (queue, word) in words.value.enumerated() { if let word { body(queue, word) } }
  }
}

/// A virtio device as a source that the loop polls: while it does, drivers need not kick.
extension VirtioFunction: PolledSource {
  package func check() -> Bool { polledQueues.hasRequest }

  package func serve() { polledQueues.takeRequests { serve(queue: $0) } }

  package func arm() -> Bool {
    accessCore { $0.setPolled(false) }
    // Check again: the driver may have added a request before it saw that kicks are enabled.
    return check()
  }

  package func disarm() { accessCore { $0.setPolled(true) } }
}
