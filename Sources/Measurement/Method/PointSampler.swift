import EventLoop
import Failures
import Foundation

/// The method of all experiments.
///
/// The sides of a point are set up together, and sampled in turn (A B A B), so that other load on the host affects all of
/// them equally. The first sample of each side warms caches and rings, and is dropped. No other sample is.
final class PointSampler {
  private let repetitions: Int
  private let loop: EventLoop
  private let interruption: Interruption
  private let sampled: ([SideOutcome]) throws -> Void

  /// - Parameter sampled: called after each sample that counts, with the samples so far.
  init(
    repetitions: Int, loop: EventLoop, interruption: Interruption = Interruption(),
    sampled: @escaping ([SideOutcome]) throws -> Void = { _ in }
  ) {
    self.repetitions = repetitions
    self.loop = loop
    self.interruption = interruption
    self.sampled = sampled
  }

  /// Samples the sides of `point`, until each has enough samples.
  ///
  /// - Parameter outcomes: one for each side. Samples that are there already, from an earlier run, are not taken again.
  /// - Throws: `Interrupted`, or the error of the side that failed. `outcomes` then has the samples taken so far.
  func measure(_ point: Point, into outcomes: inout [SideOutcome]) throws {
    guard outcomes.contains(where: { $0.samples.count < repetitions }) else { return }
    // One vCPU and the loop. With fewer processors, polling would keep the guest from running.
    let hasRoom = ProcessInfo.processInfo.activeProcessorCount > 1
    loop.pollLimit = point.polls && hasRoom ? EventLoop.usualPollLimit : 0
    var sessions: [any Sampled] = []
    defer { for session in sessions { session.close() } }
    for (index, side) in point.sides.enumerated() {
      try explained(point, side) {
        sessions.append(try interruption.during([]) { try side.make() })
        outcomes[index].commandLine = sessions[index].commandLine
        _ = try sample(sessions[index])
      }
    }
    for round in 0..<repetitions {
      for (index, side) in point.sides.enumerated() where outcomes[index].samples.count <= round {
        try explained(point, side) { outcomes[index].samples.append(try sample(sessions[index])) }
        try sampled(outcomes)
      }
    }
  }

  private func sample(_ session: any Sampled) throws -> MeasuredSample {
    try interruption.during(session.interrupters) { try session.sample() }
  }

  /// Adds the row and the side that failed to an error.
  private func explained(_ point: Point, _ side: Point.Side, _ body: () throws -> Void) throws {
    do {
      try body()
    } catch let failure as Failure {
      throw Failure(
        "measure \(point.title), with \(side.vmm == "none" ? "the host" : side.vmm): \(failure.action)",
        cause: failure.cause, fix: failure.fix)
    }
  }
}

/// The samples of one side of a point.
struct SideOutcome {
  var samples: [MeasuredSample] = []
  /// The command that ran a peer.
  var commandLine: String?
}
