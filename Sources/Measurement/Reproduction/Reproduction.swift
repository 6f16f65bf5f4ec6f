import EventLoop
import Failures
import Foundation
import KVM

/// Redoes the evaluation of the paper: its experiments, in FV and PV, with its method.
///
/// An experiment that this host has no room for is skipped, and a point that fails is reported. Both leave the rest.
package final class Reproduction {
  /// What has been measured so far.
  package struct State: Sendable {
    package var records: [Record]
    package var skipped: [Report.Skipped] = []
    package var failures: [Report.Failed] = []
    package var progress = RunProgress()
    /// The point under way.
    package var title = ""
  }

  private let options: ReproductionOptions
  private let system: System
  private let interruption: Interruption
  private let room: HostRoom
  private let known: [Record]
  private let changed: (State) throws -> Void
  private let loop: EventLoop
  package private(set) var state: State

  /// - Parameters:
  ///   - known: records of an earlier run of the same size. They are kept, and their samples are not taken again.
  ///   - changed: called before each point and after each sample.
  package init(
    _ options: ReproductionOptions, known: [Record] = [], room: HostRoom? = nil, system: System,
    interruption: Interruption = Interruption(), changed: @escaping (State) throws -> Void
  ) throws {
    self.options = options
    self.system = system
    self.interruption = interruption
    self.room = room ?? HostRoom(folder: options.directory)
    self.known = known
    self.changed = changed
    state = State(records: known)
    loop = try EventLoop(name: "io")
  }

  /// Measures all points. `state` has the result, also after an error.
  ///
  /// - Throws: `Interrupted`, or an error of `changed`.
  package func run() throws {
    loop.start()
    defer { loop.stop() }
    let plans = options.experiments.compactMap(plan)
    defer { for plan in plans { plan.close() } }
    let work = plans.flatMap { plan in
      plan.points.map { point in (point: point, outcomes: point.sides.map { outcome(point, $0) }) }
    }
    for (point, outcomes) in work {
      state.progress.add(missing(outcomes), of: point.sides.count * options.repetitions, cost: cost(point, outcomes))
    }
    state.progress.begin()
    for (point, outcomes) in work { try measure(point, outcomes) }
    state.title = "done"
    try changed(state)
  }

  private func measure(_ point: Point, _ known: [SideOutcome]) throws {
    state.title = point.title
    try changed(state)
    var outcomes = known
    var (left, cost) = (missing(known), cost(point, known))
    var isSaved = true
    let sampler = PointSampler(repetitions: options.repetitions, loop: loop, interruption: interruption) { taken in
      let spent = cost / Double(left + 1)
      (left, cost) = (left - 1, cost - spent)
      self.state.progress.spend(1, cost: spent)
      self.keep(point, taken)
      isSaved = false
      try self.changed(self.state)
      isSaved = true
    }
    do {
      try sampler.measure(point, into: &outcomes)
    } catch let failure as Failure where isSaved {
      state.failures.append(Report.Failed(title: point.title, cause: "\(failure)"))
    }
    state.progress.spend(left, cost: cost)
  }

  private func missing(_ outcomes: [SideOutcome]) -> Int {
    outcomes.reduce(0) { $0 + max(0, options.repetitions - $1.samples.count) }
  }

  /// Seconds that a point will take, roughly: what is missing, the dropped samples, and the guests' boots.
  private func cost(_ point: Point, _ outcomes: [SideOutcome]) -> Double {
    let missing = missing(outcomes)
    guard missing > 0 else { return 0 }
    let isNetwork = point.parameters.frameBytes != nil
    let duration = Double(isNetwork ? options.networkDuration : options.duration) / 1e9
    return Double(missing + point.sides.count) * duration + 0.3 * Double(point.sides.count)
  }

  // MARK: Records

  /// Puts the records of a point in the place of those that are there.
  private func keep(_ point: Point, _ outcomes: [SideOutcome]) {
    for (side, outcome) in zip(point.sides, outcomes) where !outcome.samples.isEmpty {
      var record = Record(point, side: side, outcome: outcome)
      record.rawSamples = outcome.samples
      if let index = state.records.firstIndex(where: { $0.isTwin(of: record) }) {
        state.records[index] = record
      } else {
        state.records.append(record)
      }
    }
  }

  /// What an earlier run has of a side.
  private func outcome(_ point: Point, _ side: Point.Side) -> SideOutcome {
    let empty = Record(point, side: side, outcome: SideOutcome())
    let record = known.first { $0.isTwin(of: empty) }
    return SideOutcome(samples: record?.rawSamples ?? [], commandLine: record?.commandLine)
  }

  // MARK: Plans

  /// The points of an experiment; nil if it is skipped.
  private func plan(_ experiment: ReproductionOptions.Experiment) -> ExperimentPlan? {
    do {
      let planner = ReproductionPlanner(options: options, room: room, system: system, loop: loop)
      let plan = try planner.plan(experiment)
      if let note = plan.note { state.skipped.append(Report.Skipped(experiment: experiment.rawValue, reason: note)) }
      return plan
    } catch {
      state.skipped.append(Report.Skipped(experiment: experiment.rawValue, reason: "\(error)"))
      return nil
    }
  }
}
