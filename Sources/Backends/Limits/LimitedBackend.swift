import Counters
import EventLoop

/// A network backend whose bytes a second are limited, in each direction alone.
///
/// What the guest sends over the limit waits in a bounded queue, as behind a slow link, and is dropped when that is full
/// (`dropsRateLimit`). What the guest receives over the limit stays in the backend, as if the NIC had no buffers. Used on
/// the backend's loop.
// Unchecked: only the loop's thread uses its variables.
public final class LimitedBackend: NetworkBackend, @unchecked Sendable {
  public var kind: String { backend.kind }
  public var acceptedOffloads: NetworkOffloads { backend.acceptedOffloads }

  private let backend: any NetworkBackend
  private let loop: EventLoop
  private let counters: Counters
  private var limiter: RateLimiter
  private var held = HeldFrames()
  private var timer: LoopTimer?
  private let receiving: ReceivingSide

  /// - Parameter bytes: bytes a second, in each direction.
  public init(_ backend: any NetworkBackend, bytes: UInt64, loop: EventLoop, counters: Counters) {
    self.backend = backend
    self.loop = loop
    self.counters = counters
    limiter = RateLimiter(bytes: bytes)
    receiving = ReceivingSide(backend, RateLimiter(bytes: bytes), loop)
    timer = loop.makeTimer { [weak self] in self?.timerElapsed() }
  }

  deinit {
    if let timer { loop.remove(timer) }
    held.removeAll()
  }

  public func connect(_ receiver: (any FrameReceiver)?) {
    receiving.receiver = receiver
    // A NIC that has gone sends nothing more.
    if receiver == nil { held.removeAll() }
    backend.connect(receiver == nil ? nil : receiving)
  }

  public func send(_ frame: Frame) {
    loop.assertOnLoop()
    let now = loop.clock.now
    let delay = held.isEmpty ? limiter.delay(now: now) : 0
    guard !held.isEmpty || delay > 0 else { return pass(frame, now) }
    guard held.append(frame) else { return counters.add(.dropsRateLimit) }
    counters.add(.bytesCopied, frame.count)
    if delay > 0 { timer?.set(after: delay) }
  }

  private func pass(_ frame: Frame, _ now: UInt64) {
    limiter.take(UInt64(frame.count), now: now)
    backend.send(frame)
  }

  private func timerElapsed() {
    var effort = 0
    while let frame = held.first {
      let now = loop.clock.now
      let delay = limiter.delay(now: now)
      // After a pause many frames may pass at once. The loop's other handlers get their turn in between.
      guard delay == 0, effort < Frame.turn else {
        timer?.set(after: delay)
        break
      }
      effort += frame.effort
      pass(frame, now)
      held.removeFirst()
    }
    backend.sentBurst()
  }

  public func sentBurst() { backend.sentBurst() }

  public func receiverReady() { backend.receiverReady() }

  /// Stands in for the NIC, and has no buffers while the limit is reached.
  // Unchecked: only the loop's thread uses its variables.
  private final class ReceivingSide: FrameReceiver, @unchecked Sendable {
    var receiver: (any FrameReceiver)?
    private let backend: any NetworkBackend
    private let loop: EventLoop
    private var limiter: RateLimiter
    private var timer: LoopTimer?

    init(_ backend: any NetworkBackend, _ limiter: RateLimiter, _ loop: EventLoop) {
      self.backend = backend
      self.limiter = limiter
      self.loop = loop
      timer = loop.makeTimer { [weak backend] in backend?.receiverReady() }
    }

    deinit { if let timer { loop.remove(timer) } }

    var acceptedOffloads: NetworkOffloads { receiver?.acceptedOffloads ?? [] }

    func receive(_ frame: Frame) -> FrameDelivery {
      guard let receiver else { return .discarded }
      let now = loop.clock.now
      let delay = limiter.delay(now: now)
      guard delay == 0 else {
        timer?.set(after: delay)
        return .noBuffer
      }
      let delivery = receiver.receive(frame)
      if delivery != .noBuffer { limiter.take(UInt64(frame.count), now: now) }
      return delivery
    }

    func receivedBurst() { receiver?.receivedBurst() }
    func setLink(up: Bool) { receiver?.setLink(up: up) }
  }
}
