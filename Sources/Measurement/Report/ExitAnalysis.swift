extension ExitModel {
  /// What separates FV from PV in one row, in nanoseconds per operation.
  package struct Gap: Encodable, Sendable {
    package let experiment: Record.Experiment
    package let parameters: Record.Parameters
    package let full: Double
    package let para: Double
    /// `full - para`.
    package let gap: Double
    /// The part of the gap that exits explain.
    package let explained: Double
    /// The part of the gap that they do not explain.
    package let left: Double
    /// Whether exits of either side may run beside the work that an operation waits for. Then they explain at most
    /// `explained`, and the projection is a limit too.
    package let isUpperBound: Bool
    /// FV/PV where an exit costs `hardwareExit`: a projection, not a measurement. Nil if exits explain more time than an
    /// operation takes.
    @NullIfUnknown package var projectedRatio: Double?

    init(
      experiment: Record.Experiment, parameters: Record.Parameters, full: Double, para: Double, explained: Double,
      isUpperBound: Bool, projectedRatio: Double?
    ) {
      (self.experiment, self.parameters, self.full, self.para) = (experiment, parameters, full, para)
      gap = full - para
      self.explained = explained
      left = full - para - explained
      self.isUpperBound = isUpperBound
      self.projectedRatio = projectedRatio
    }

    enum CodingKeys: String, CodingKey {
      case experiment, parameters, isUpperBound, projectedRatio
      case full = "fullNanoseconds"
      case para = "paraNanoseconds"
      case gap = "gapNanoseconds"
      case explained = "explainedNanoseconds"
      case left = "leftNanoseconds"
    }
  }

  /// What exits that were added on purpose change, in nanoseconds per operation.
  package struct Check: Encodable, Sendable {
    package let device: Record.Device
    package let parameters: Record.Parameters
    /// The exits for each operation that the record has more than the one without added exits.
    package let addedExits: Double
    package let predicted: Double
    package let measured: Double
    /// Half the width of the 95 % interval of `measured - predicted`.
    @NullIfUnknown package var ci95: Double?
    /// Whether the model predicted the change; nil if the interval is wider than the change, and so would contain any.
    @NullIfUnknown package var isWithinInterval: Bool?

    init(
      device: Record.Device, parameters: Record.Parameters, addedExits: Double, predicted: Double, measured: Double,
      ci95: Double?
    ) {
      (self.device, self.parameters, self.addedExits) = (device, parameters, addedExits)
      (self.predicted, self.measured, self.ci95) = (predicted, measured, ci95)
      isWithinInterval = ci95.flatMap { $0 > abs(predicted) ? nil : abs(measured - predicted) <= $0 }
    }

    enum CodingKeys: String, CodingKey {
      case device, parameters, addedExits, ci95, isWithinInterval
      case predicted = "predictedNanoseconds"
      case measured = "measuredNanoseconds"
    }
  }
}

/// The costs, gaps and checks of a report.
package struct ExitAnalysis: Encodable, Sendable {
  package var exit: ExitModel.Cost
  package var kick: ExitModel.Cost
  package var coalesced: ExitModel.Cost
  package var gaps: [ExitModel.Gap]
  package var checks: [ExitModel.Check]

  init(_ model: ExitModel, _ records: [Record]) {
    (exit, kick, coalesced) = (model.exit, model.kick, model.coalesced)
    gaps = model.gaps(records)
    checks = model.checks(records)
  }
}
