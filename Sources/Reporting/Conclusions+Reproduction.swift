import Measurement

/// Rules for what the paper teaches, which compare points of different conditions.
extension Conclusions {
  /// A disk that ignores flushes seems faster than the host's durable writes, as Xen's did in the paper.
  static let ignoredFlushes: Rule = { evidence in
    let writes = evidence.clusters(of: .diskWrite)
    let faster = writes.filter { $0.parameters.cache == "unsafe" }.compactMap {
      cluster -> (name: String, ratio: Ratio)? in
      var honest = cluster.parameters
      honest.cache = "none"
      guard let host = writes.first(where: { $0.parameters == honest })?[.host],
        let ratio = Ratio(cluster[.paravirtualization]?.measured, to: host.measured), ratio.isBelowOne == false
      else { return nil }
      return (cluster.label, ratio)
    }
    guard let range = Conclusions.range(faster.map(\.ratio)) else { return [] }
    let amplified = evidence.clusters(of: .diskAmplification).first { $0.parameters.cache == "unsafe" }
    let proof = amplified?[.paravirtualization]?.durableShare.map {
      " When its last flush was complete, \($0.brief) of its bytes had reached the disk."
    }
    return [
      Conclusion(
        experiment: .diskWrite,
        text:
          "With cache=unsafe, PV writes \(list(faster.map(\.name))) \(range) times as fast as the host writes durably, "
          + "because flushes are ignored.\(proof ?? "") This is how a virtual disk can seem faster than the host.")
    ]
  }

  /// What the VMM's accelerations since 2009 bring to the same device.
  static let since2009: Rule = { evidence in
    let today = evidence.clusters.filter { $0.parameters.profile == nil }
    return evidence.clusters.filter { $0.parameters.profile != nil }.flatMap { old in
      old.series.compactMap { series -> Conclusion? in
        guard
          let new = today.first(where: { $0.experiment == old.experiment && $0.isTwin(of: old) && $0[series] != nil }),
          let ratio = Ratio(new[series]?.measured, to: old[series]?.measured), let isBelow = ratio.isBelowOne
        else { return nil }
        let name = ([new.label] + [new.parameters.direction].compactMap { $0 }).joined(separator: " ")
        let polling = old.polls && !new.polls ? " The old guest polls instead of waiting for interrupts." : ""
        return Conclusion(
          experiment: old.experiment,
          text:
            "\(evidence.onThisKVM), \(name): the accelerations since \(old.parameters.profile ?? "") make \(series.name) "
            + "\(isBelow ? "slower" : "faster"), \(ratio.text) times as fast.\(polling)")
      }
    }
  }
}

extension Cluster {
  /// Whether the guests poll instead of waiting for interrupts.
  fileprivate var polls: Bool { parameters.interrupts == "poll" }

  /// Whether another cluster differs only in its profile, and in what follows from that.
  fileprivate func isTwin(of other: Cluster) -> Bool {
    func core(_ parameters: Record.Parameters) -> Record.Parameters {
      var core = parameters
      (core.profile, core.disabled, core.interrupts) = (nil, nil, nil)
      return core
    }
    return core(parameters) == core(other.parameters)
  }
}
