/// The cost of each way in which a guest leaves its own code, and what follows from it for an operation.
///
/// The model: an exit stops the vCPU, so an operation takes longer by the number of its exits times their cost. It holds
/// where the guest is what an operation waits for. Docs/Measuring.md lists its limits.
package struct ExitModel: Sendable {
  /// A cost in nanoseconds, and half the width of its 95 % interval.
  package struct Cost: Encodable, Sendable, Equatable {
    package var mean: Double
    package var ci95: Double?

    init(mean: Double, ci95: Double? = nil) {
      self.mean = mean
      self.ci95 = ci95
    }

    /// The time of one operation, from a throughput whose operations have `bytes` bytes. Nil without throughput.
    ///
    /// It is the inverse of the mean throughput, so that one slow sample weighs no more here than in a ratio of rows. The
    /// interval has the same relative width.
    init?(_ throughput: Record.Throughput?, bytes: Double = 1) {
      guard let throughput, throughput.mean > 0 else { return nil }
      let mean = 1e9 * bytes / throughput.mean
      self.init(mean: mean, ci95: throughput.ci95.map { mean * $0 / throughput.mean })
    }
  }

  /// Counts for one operation.
  struct Counts {
    var exits: Double
    /// Writes that KVM held in its ring.
    var coalesced: Double
    /// Other exits that KVM served itself, such as kicks, EOIs and halts. Each counts as a kick.
    var kernel: Double

    /// - Returns: nil if a count is unknown.
    init?(_ record: Record) {
      let counts = record.perOperation
      guard let exits = counts.exits, let all = counts.kernelExits, let held = counts.coalesced else { return nil }
      self.exits = exits
      coalesced = held
      kernel = max(0, all - exits - held)
    }
  }

  /// The cost of an exit on a CPU with VT-x or SVM, in nanoseconds, for the projection.
  package static let hardwareExit = 1000.0

  package let exit: Cost
  package let kick: Cost
  package let coalesced: Cost

  /// Takes the costs from the records of `exit-cost`.
  ///
  /// - Returns: nil if one of them is missing.
  package init?(_ records: [Record]) {
    func cost(_ kind: AccessKind) -> Cost? {
      let record = records.first { $0.experiment == .exitCost && $0.parameters.access == kind.rawValue }
      return Cost(record?.throughput)
    }
    guard let exit = cost(.exit), let kick = cost(.kick), var held = cost(.coalesced) else { return nil }
    // A full ring makes one write in some hundred exit. That exit is counted with the others.
    let full = records.first { $0.parameters.access == AccessKind.coalesced.rawValue }?.perOperation.exits ?? 0
    held.mean = max(0, held.mean - full * exit.mean)
    self.init(exit: exit, kick: kick, coalesced: held)
  }

  private init(exit: Cost, kick: Cost, coalesced: Cost) {
    (self.exit, self.kick, self.coalesced) = (exit, kick, coalesced)
  }

  /// The same with costs of at most `limit` nanoseconds.
  private func limited(to limit: Double) -> ExitModel {
    func limited(_ cost: Cost) -> Cost {
      var cost = cost
      cost.mean = min(cost.mean, limit)
      return cost
    }
    return ExitModel(exit: limited(exit), kick: limited(kick), coalesced: limited(coalesced))
  }

  /// The nanoseconds that an operation with these counts spends outside its guest.
  func time(_ counts: Counts) -> Double {
    counts.exits * exit.mean + counts.kernel * kick.mean + counts.coalesced * coalesced.mean
  }

  // MARK: The gap between FV and PV

  /// - Returns: nil if a count or a time is unknown.
  func gap(full: Record, para: Record) -> Gap? {
    guard let fullTime = full.timePerOperation?.mean, let paraTime = para.timePerOperation?.mean,
      let fullCounts = Counts(full), let paraCounts = Counts(para)
    else { return nil }
    let hardware = limited(to: Self.hardwareExit)
    // Where PV does not wait for its guest, its kicks may cost no time at all: then both results are limits.
    let paraOutside = para.waitsForGuest ? time(paraCounts) : 0
    let fullProjected = fullTime - time(fullCounts) + hardware.time(fullCounts)
    let paraProjected = paraTime - paraOutside + (para.waitsForGuest ? hardware.time(paraCounts) : 0)
    return Gap(
      experiment: full.experiment, parameters: full.parameters, full: fullTime, para: paraTime,
      explained: time(fullCounts) - paraOutside, isUpperBound: !full.waitsForGuest || !para.waitsForGuest,
      projectedRatio: fullProjected > 0 && paraProjected > 0 ? paraProjected / fullProjected : nil)
  }

  /// All rows with FV and PV of swiftlet.
  package func gaps(_ records: [Record]) -> [Gap] {
    records.filter { $0.mode == .fullVirtualization && $0.vmm == "swiftlet" && $0.experiment != .exitModel }
      .compactMap { full in
        let twin = records.first {
          $0.mode == .paravirtualization && $0.vmm == "swiftlet" && $0.experiment == full.experiment
            && $0.parameters == full.parameters
        }
        return twin.flatMap { gap(full: full, para: $0) }
      }
  }

  // MARK: The check

  func check(without: Record, with: Record) -> Check? {
    guard let before = without.timePerOperation, let after = with.timePerOperation,
      let countsBefore = Counts(without), let countsAfter = Counts(with)
    else { return nil }
    let added = countsAfter.exits - countsBefore.exits
    var variance: Double?
    if let first = before.ci95, let second = after.ci95, let cost = exit.ci95 {
      variance = first * first + second * second + added * added * cost * cost
    }
    return Check(
      device: with.device, parameters: with.parameters, addedExits: added,
      predicted: time(countsAfter) - time(countsBefore), measured: after.mean - before.mean,
      ci95: variance?.squareRoot())
  }

  /// The checks of all records of `exit-model`.
  package func checks(_ records: [Record]) -> [Check] {
    let models = records.filter { $0.experiment == .exitModel }
    return models.filter { ($0.parameters.extraExits ?? 0) > 0 }.compactMap { with in
      var parameters = with.parameters
      parameters.extraExits = 0
      let without = models.first { $0.device == with.device && $0.parameters == parameters }
      return without.flatMap { check(without: $0, with: with) }
    }
  }
}

extension Record {
  /// The time of one operation; of a latency, the median. Nil if nothing was measured.
  var timePerOperation: ExitModel.Cost? {
    if let latency { return latency.p50 > 0 ? ExitModel.Cost(mean: latency.p50) : nil }
    let bytes = throughput?.unit == "bytes/s" ? parameters.blockBytes ?? parameters.frameBytes ?? 1 : 1
    return ExitModel.Cost(throughput, bytes: Double(bytes))
  }

  /// Whether an operation waits for all that its guest does: it is the only one in flight, or only the vCPU is busy.
  ///
  /// Several VMs work at the same time. A guest that polls looks busy, and a poll that finds nothing costs no time.
  var waitsForGuest: Bool {
    if parameters.interrupts == "poll" { return false }
    if latency != nil || parameters.queueDepth == 1 || device == .ide { return true }
    guard (parameters.vms ?? 1) == 1, let time = timePerOperation, operations > 0 else { return false }
    let span = operations * time.mean / 1e9
    // KVM polls before it halts a vCPU, so a vCPU that waits for the loop can look busy too.
    return cpuSeconds.vCPU / span >= 0.9 && (cpuSeconds.io + cpuSeconds.endpoint) / span < 0.9
  }
}
