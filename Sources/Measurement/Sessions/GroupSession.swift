import Counters
import Threads

/// Several VMs that are sampled at the same time.
final class GroupSession: Sampled {
  private var sessions: [any Sampled & Sendable] = []
  private var closings: [() -> Void] = []
  private let kept: [AnyObject]

  /// Whether the VMs' I/O is on one loop. Otherwise each has I/O threads of its own.
  private let sharesLoop: Bool

  /// - Parameter kept: objects that stay alive as long as the group.
  init(keeping kept: [AnyObject] = [], sharesLoop: Bool = true) {
    self.kept = kept
    self.sharesLoop = sharesLoop
  }

  func append(_ session: any Sampled & Sendable) { sessions.append(session) }

  /// Adds what `close` does after it has closed the sessions.
  func onClose(_ body: @escaping () -> Void) { closings.append(body) }

  var interrupters: [@Sendable () -> Void] { sessions.flatMap(\.interrupters) }

  func sample() throws -> MeasuredSample {
    let results = Guarded<[Result<MeasuredSample, any Error>]>(.leaf, [])
    let threads = sessions.map { session in
      BackgroundThread {
        let result = Result { try session.sample() }
        results.withLock { $0.append(result) }
      }
    }
    for thread in threads { thread.start() }
    for thread in threads { thread.join() }
    return MeasuredSample(together: try results.withLock { $0 }.map { try $0.get() }, sharesLoop: sharesLoop)
  }

  func close() {
    for session in sessions { session.close() }
    for closing in closings { closing() }
  }
}

extension MeasuredSample {
  /// The sum of samples that were taken at the same time.
  init(together samples: [MeasuredSample], sharesLoop: Bool) {
    self.init()
    operations = samples.reduce(0) { $0 + $1.operations }
    bytes = samples.reduce(0) { $0 + $1.bytes }
    nanoseconds = samples.map(\.nanoseconds).max() ?? 0
    rates = samples.map { sample in
      let amount = sample.bytes > 0 ? sample.bytes : sample.operations
      return sample.nanoseconds > 0 ? Double(amount) / (Double(sample.nanoseconds) / 1e9) : 0
    }
    let known = samples.compactMap(\.counters)
    counters = known.count == samples.count ? CounterSnapshot(adding: known) : nil
    let exits = samples.compactMap(\.kernelExits)
    kernelExits = exits.count == samples.count ? exits.reduce(0, +) : nil
    vCPUSeconds = samples.reduce(0) { $0 + $1.vCPUSeconds }
    // Every sample has the time of the same endpoints' loop and of the same host, and perhaps of the same loop.
    let io = samples.map(\.ioSeconds)
    ioSeconds = sharesLoop ? io.max() ?? 0 : io.reduce(0, +)
    endpointSeconds = samples.map(\.endpointSeconds).max() ?? 0
    stealSeconds = samples.map(\.stealSeconds).max() ?? 0
    load = samples.first?.load ?? 0
    drops = samples.reduce(into: [:]) { $0.merge($1.drops, uniquingKeysWith: +) }
  }
}
