extension ExitModel {
  /// What separates FV from PV in one row, in nanoseconds per operation.
  package struct Gap: Encodable, Sendable {
    package var experiment: Record.Experiment
    package var parameters: Record.Parameters
    package var full: Double
    package var para: Double
    /// The part of `full - para` that exits explain.
    package var explained: Double
    /// Whether exits of either side may run beside the work that an operation waits for. Then they explain at most
    /// `explained`, and the projection is a limit too.
    package var isUpperBound: Bool
    /// FV/PV where an exit costs `hardwareExit`: a projection, not a measurement. Nil if exits explain more time than an
    /// operation takes.
    package var projectedRatio: Double?

    package var gap: Double { full - para }
    package var left: Double { gap - explained }

    enum CodingKeys: String, CodingKey {
      case experiment, parameters, isUpperBound
      case full = "fullNanoseconds"
      case para = "paraNanoseconds"
      case gap = "gapNanoseconds"
      case explained = "explainedNanoseconds"
      case left = "leftNanoseconds"
      case projectedRatio
    }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(experiment, forKey: .experiment)
      try container.encode(parameters, forKey: .parameters)
      try container.encode(full, forKey: .full)
      try container.encode(para, forKey: .para)
      try container.encode(gap, forKey: .gap)
      try container.encode(explained, forKey: .explained)
      try container.encode(left, forKey: .left)
      try container.encode(isUpperBound, forKey: .isUpperBound)
      try container.encode(projectedRatio, forKey: .projectedRatio)
    }
  }

  /// What exits that were added on purpose change, in nanoseconds per operation.
  package struct Check: Encodable, Sendable {
    package var device: Record.Device
    package var parameters: Record.Parameters
    /// The exits for each operation that the record has more than the one without added exits.
    package var addedExits: Double
    package var predicted: Double
    package var measured: Double
    /// Half the width of the 95 % interval of `measured - predicted`.
    package var ci95: Double?

    /// Whether the model predicted the change; nil if the interval is wider than the change, and so would contain any.
    package var isWithinInterval: Bool? { ci95.flatMap { $0 > abs(predicted) ? nil : abs(measured - predicted) <= $0 } }

    enum CodingKeys: String, CodingKey {
      case device, parameters, addedExits
      case predicted = "predictedNanoseconds"
      case measured = "measuredNanoseconds"
      case ci95
      case isWithinInterval
    }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(device, forKey: .device)
      try container.encode(parameters, forKey: .parameters)
      try container.encode(addedExits, forKey: .addedExits)
      try container.encode(predicted, forKey: .predicted)
      try container.encode(measured, forKey: .measured)
      try container.encode(ci95, forKey: .ci95)
      try container.encode(isWithinInterval, forKey: .isWithinInterval)
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
