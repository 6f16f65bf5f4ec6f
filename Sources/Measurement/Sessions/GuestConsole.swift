import Backends
import EventLoop
import Failures
import Foundation
import Threads

/// COM1 of a test guest. It parses JSON lines, and reports the bytes STX and ETX around a measured span.
package final class GuestConsole: SerialBackend {
  private struct State {
    var line: [UInt8] = []
    var events: [[String: String]] = []
    var waiter: Latch?
    var text: [String] = []
    var isClosed = false
  }
  private let state = Guarded(.leaf, State())
  private let marked = Guarded<(@Sendable (_ isBegin: Bool) -> Void)?>(.leaf, nil)

  package init() {}

  /// Called with each mark, on the thread that carries the guest's output, before the guest goes on.
  package func onMark(_ body: @escaping @Sendable (_ isBegin: Bool) -> Void) { marked.withLock { $0 = body } }

  /// All lines so far.
  package var lines: [String] { state.withLock { $0.text } }

  package func transmit(_ byte: UInt8) {
    switch byte {
    case 0x02, 0x03:
      let body = marked.withLock { $0 }
      body?(byte == 0x02)
    case 0x0A: finishLine()
    default: state.withLock { if $0.line.count < 65_536 { $0.line.append(byte) } }
    }
  }

  private func finishLine() {
    state.withLock { state in
      let bytes = state.line
      state.line.removeAll(keepingCapacity: true)
      state.text.append(String(decoding: bytes, as: UTF8.self))
      guard let object = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else { return }
      state.events.append(object.mapValues { "\($0)" })
      state.waiter?.open()
    }
  }

  /// Ends all waits, because the guest has ended.
  package func close() {
    state.withLock { state in
      state.isClosed = true
      state.waiter?.open()
    }
  }

  /// Waits for the next event and returns its fields; nil if the guest ended without one.
  ///
  /// - Throws: `Failure` if there is no event for `seconds`.
  package func nextEvent(within seconds: Double) throws(Failure) -> [String: String]? {
    let deadline = MonotonicClock().now + UInt64(seconds * 1e9)
    while true {
      let latch = Latch()
      let (event, isClosed) = state.withLock { state -> ([String: String]?, Bool) in
        if !state.events.isEmpty { return (state.events.removeFirst(), false) }
        state.waiter = latch
        return (nil, state.isClosed)
      }
      if let event { return event }
      if isClosed { return nil }
      let now = MonotonicClock().now
      guard now < deadline, latch.wait(nanoseconds: deadline - now) else {
        throw Failure("wait for the guest", cause: "it printed nothing for \(Int(seconds)) s")
      }
    }
  }

  /// Waits for the event `name`. Throws if the guest reports another event or ends.
  package func expect(_ name: String, within seconds: Double) throws(Failure) -> [String: String] {
    guard let event = try nextEvent(within: seconds) else {
      throw Failure("wait for the guest's \(name)", cause: "it ended before that")
    }
    guard event["event"] == name else {
      let fields = event.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      throw Failure("wait for the guest's \(name)", cause: "it reported: \(fields)")
    }
    return event
  }
}

extension MeasuredSample {
  /// Reads a guest's `sample` event.
  init(event: [String: String]) {
    self.init()
    for (key, value) in event {
      guard let number = UInt64(value) else { continue }
      switch key {
      case "operations": operations = number
      case "bytes": bytes = number
      case "nanoseconds": nanoseconds = number
      default: values[key] = number
      }
    }
  }
}
