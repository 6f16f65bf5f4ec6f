import Measurement

/// A sentence that follows from a report's numbers.
struct Conclusion: Equatable {
  var experiment: Record.Experiment?
  var text: String
}

/// The rules that turn numbers into sentences.
///
/// A rule that compares two means looks at the 95 % interval of their ratio. Where the interval includes the limit, or is
/// unknown, the rule says nothing. A rule that compares counts of exits needs no interval, because counts repeat exactly.
enum Conclusions {
  typealias Rule = @Sendable (Evidence) -> [Conclusion]

  static let rules: [Rule] = [
    overhead, fullAgainstPara, durability, ignoredFlushes, amplification, againstHost, queueing, exitCounts, scaling,
    fairness, since2009, exitCost, model, peer,
  ]

  static func all(_ evidence: Evidence) -> [Conclusion] { rules.flatMap { $0(evidence) } }

  /// The guest computes as fast as the host, within the paper's 2 %, or it does not.
  static let overhead: Rule = { evidence in
    let points = evidence.clusters(of: .cpu).compactMap { cluster -> (name: String, ratio: Ratio)? in
      Ratio(cluster[.guest]?.measured, to: cluster[.host]?.measured).map { (cluster.label, $0) }
    }
    func sentence(_ verdict: String, _ isTrue: (ClosedRange<Double>) -> Bool) -> Conclusion? {
      let chosen = points.filter { $0.ratio.interval.map(isTrue) == true }
      guard let range = Conclusions.range(chosen.map(\.ratio)) else { return nil }
      return Conclusion(
        experiment: .cpu,
        text:
          "With \(list(chosen.map(\.name))), the guest reaches \(range) of the host's speed. The overhead is \(verdict)."
      )
    }
    return [
      sentence("below 2\u{A0}%, as in the paper") { $0.lowerBound >= 0.98 },
      sentence("above the paper's 2\u{A0}%") { $0.upperBound < 0.98 },
    ].compactMap { $0 }
  }

  /// A ratio with its interval, or the range of several; nil if there is none.
  static func range(_ ratios: [Ratio]) -> String? {
    ratios.count > 1 ? span(ratios) : ratios.first?.text
  }

  /// The smallest and the largest of some ratios, without their intervals.
  static func span(_ ratios: [Ratio]) -> String {
    let (low, high) = (ratios.map(\.value).min() ?? 0, ratios.map(\.value).max() ?? 0)
    return low.brief == high.brief ? low.brief : "\(low.brief) to \(high.brief)"
  }

  /// Which of emulated hardware and virtio is faster, and at how many points.
  static let fullAgainstPara: Rule = { evidence in
    let others: [Record.Experiment] = [.exitModel, .memory, .diskAmplification]
    return Evidence.experiments(of: [evidence.report]).filter { !others.contains($0) }.flatMap {
      experiment -> [Conclusion] in
      let pairs = evidence.clusters(of: experiment).filter {
        $0[.fullVirtualization] != nil && $0[.paravirtualization] != nil
      }
      let ratios = pairs.map { ($0, $0.speed($0[.fullVirtualization], of: $0[.paravirtualization])) }
      return [(true, "PV is faster than FV"), (false, "FV is faster than PV")].compactMap { isBelow, claim in
        let sure = ratios.filter { $0.1?.isBelowOne == isBelow }
        guard !sure.isEmpty else { return nil }
        // Equal points may be measured under several conditions, for example with and without a profile.
        let names = Set(pairs.map(\.condition)).count > 1 ? sure.map { Tables.head($0.0) } : sure.map(\.0.label)
        let place =
          pairs.count == 1 ? "" : sure.count <= 3 ? " at \(list(names))" : " at \(sure.count) of \(pairs.count) points"
        return Conclusion(
          experiment: experiment,
          text: "\(evidence.onThisKVM), \(claim)\(place): FV reaches \(span(sure.compactMap(\.1))) of the speed of PV.")
      }
    }
  }

  /// Writes that seem faster than the host's, as the paper saw with Xen.
  static let durability: Rule = { evidence in
    evidence.clusters(of: .diskWrite).filter { $0.parameters.cache != "unsafe" }.flatMap { cluster in
      [Record.Mode.fullVirtualization, .paravirtualization].compactMap { mode in
        guard let ratio = Ratio(cluster[mode]?.measured, to: cluster[.host]?.measured), ratio.isBelowOne == false
        else { return nil }
        return Conclusion(
          experiment: .diskWrite,
          text:
            "\(mode.rawValue) writes \(cluster.label) faster than the host: \(ratio.text) times. In the paper, a disk "
            + "that was faster than the host acknowledged writes before they were durable. Here a final flush is part of "
            + "the time, so look for another cause, such as the host's program.")
      }
    }
  }

  /// Whether more bytes reach the disk than the guest writes, as with the virtio of KVM 84.
  static let amplification: Rule = { evidence in
    let points = evidence.clusters(of: .diskAmplification).flatMap { cluster in
      [Record.Mode.fullVirtualization, .paravirtualization].compactMap { mode -> (mode: Record.Mode, ratio: Ratio)? in
        guard let record = cluster[mode], record.unit == Figure.amplificationUnit else { return nil }
        return Ratio(record.measured, toExact: 1).map { (mode, $0) }
      }
    }
    return [Record.Mode.fullVirtualization, .paravirtualization].flatMap { mode -> [Conclusion] in
      let ratios = points.filter { $0.mode == mode }.map(\.ratio)
      let more = range(ratios.filter { $0.interval.map { $0.lowerBound > 1.05 } == true }).map {
        "With \(mode.rawValue), \($0) bytes reach the disk for each byte that the guest writes."
      }
      let equal = range(ratios.filter { $0.interval.map { $0.upperBound < 1.05 } == true }).map {
        "With \(mode.rawValue), no more reaches the disk than the guest writes: \($0) bytes for each byte."
      }
      return [more, equal].compactMap { $0 }.map { Conclusion(experiment: .diskAmplification, text: $0) }
    }
  }

  /// How virtio's network compares with the host's own stream.
  static let againstHost: Rule = { evidence in
    evidence.clusters(of: .netInterVM).compactMap { cluster in
      guard cluster.parameters.frameBytes == 1514,
        let ratio = Ratio(cluster[.paravirtualization]?.measured, to: cluster[.host]?.measured),
        let isBelow = ratio.isBelowOne
      else { return nil }
      return Conclusion(
        experiment: .netInterVM,
        text:
          "Between two machines, virtio carries \(ratio.text) of the host's own stream of the same frames, which is "
          + "\(isBelow ? "less" : "more") than the host. In 2009 it was 0.18 of the host's loopback.")
    }
  }

  /// What requests in flight bring.
  static let queueing: Rule = { evidence in
    let clusters = evidence.clusters(of: .diskRandomRead)
    return clusters.filter { ($0.parameters.queueDepth ?? 1) > 1 }.flatMap { deep -> [Conclusion] in
      var parameters = deep.parameters
      parameters.queueDepth = 1
      guard let single = clusters.first(where: { $0.parameters == parameters }) else { return [] }
      return [Record.Mode.fullVirtualization, .paravirtualization].compactMap { mode in
        guard let ratio = Ratio(deep[mode]?.measured, to: single[mode]?.measured), ratio.isBelowOne == false
        else { return nil }
        return Conclusion(
          experiment: .diskRandomRead,
          text:
            "With \(deep.parameters.queueDepth ?? 0) requests in flight, \(mode.rawValue) reads \(ratio.text) times as "
            + "much as with one.")
      }
    }
  }

  /// How many more exits emulated hardware needs.
  static let exitCounts: Rule = { evidence in
    [Record.Experiment.diskWrite, .diskRead, .netLatency].compactMap { experiment in
      let pairs = evidence.clusters(of: experiment).compactMap { cluster -> (full: Double, para: Double)? in
        // A profile is there to show how many more exits there were.
        guard cluster.parameters.profile == nil, let full = cluster[.fullVirtualization]?.perOperation.exits,
          let para = cluster[.paravirtualization]?.perOperation.exits
        else { return nil }
        return (full, para)
      }
      guard !pairs.isEmpty, pairs.allSatisfy({ $0.full - $0.para >= 0.5 }) else { return nil }
      let (full, para) = (pairs.map(\.full).max() ?? 0, pairs.map(\.para).max() ?? 0)
      let virtio = para < 0.005 ? "never" : "\(para.brief) times at most"
      return Conclusion(
        experiment: experiment,
        text:
          "For one operation, the guest of the emulated device leaves to user space \(full.brief) times at most, and the "
          + "guest of virtio \(virtio).")
    }
  }

  /// Whether more machines move more in total.
  static let scaling: Rule = { evidence in
    let clusters = evidence.clusters(of: .netScale).filter { $0.parameters.vms != nil && !$0.namesDisabled }
      .sorted { ($0.parameters.vms ?? 0) < ($1.parameters.vms ?? 0) }
    return clusters.reduce(into: [[Cluster]]()) { groups, cluster in
      if let index = groups.firstIndex(where: { $0[0].condition == cluster.condition }) {
        groups[index].append(cluster)
      } else {
        groups.append([cluster])
      }
    }.flatMap { group -> [Conclusion] in
      guard let few = group.first, let many = group.last, few.parameters != many.parameters else { return [] }
      let verb = few.parameters.direction ?? "move"
      let place = few.parameters.backend == "tap" ? " over taps" : ""
      return [Record.Mode.fullVirtualization, .paravirtualization].compactMap { mode in
        guard let ratio = Ratio(many[mode]?.measured, to: few[mode]?.measured), let isBelow = ratio.isBelowOne
        else { return nil }
        return Conclusion(
          experiment: .netScale,
          text:
            "With \(mode.rawValue)\(place), \(many.label) \(verb) \(isBelow ? "less" : "more") in total than \(few.label): "
            + "\(ratio.text) times as much.")
      }
    }
  }

  /// Whether machines that run at the same time get equal shares.
  static let fairness: Rule = { evidence in
    [(Record.Experiment.netScale, "the network fairly, as in the paper"), (.fairness, "a disk fairly")].flatMap {
      experiment, what -> [Conclusion] in
      let shares = evidence.clusters(of: experiment).filter { ($0.parameters.vms ?? 0) > 2 }
        .flatMap { cluster in cluster.series.compactMap { cluster[$0]?.fairness } }
      guard let worst = shares.map(\.worstShare).min(), let jain = shares.map(\.jain).min(), worst >= 0.8, jain >= 0.95
      else { return [] }
      return [
        Conclusion(
          experiment: experiment,
          text: "The machines share \(what): the slowest has at least \(worst.brief) of the mean.")
      ]
    }
  }

  /// An exit that costs much more than on hardware.
  static let exitCost: Rule = { evidence in
    guard let cost = evidence.report.exitAnalysis?.exit, let half = cost.ci95, cost.mean - half > 5000 else {
      return []
    }
    return [
      Conclusion(
        experiment: .exitCost,
        text:
          "\(evidence.onThisKVM), an exit to user space costs \((cost.mean / 1000).brief) ± \((half / 1000).brief) µs, where "
          + "one with VT-x or AMD-V costs about 1. Compare counts of exits with other hosts, and times on this one only."
      )
    ]
  }

  /// Whether the model of exits predicted the exits that were added.
  static let model: Rule = { evidence in
    let verdicts = evidence.report.exitAnalysis?.checks.compactMap(\.isWithinInterval) ?? []
    guard !verdicts.isEmpty else { return [] }
    let right = verdicts.count { $0 }
    return [
      Conclusion(
        experiment: .exitModel,
        text:
          "The cost of an exit predicts the time of added exits in \(right) of \(verdicts.count) cases where the interval "
          + "is narrow enough to tell.")
    ]
  }

  /// Which VMM is faster with the same device.
  static let peer: Rule = { evidence in
    let pairs = evidence.clusters.flatMap { cluster in
      cluster.series.filter(\.isPeer).compactMap { series -> Ratio? in
        cluster.speed(cluster[series.mode], of: cluster[series])
      }
    }
    let (slower, faster) = (pairs.count { $0.isBelowOne == true }, pairs.count { $0.isBelowOne == false })
    guard slower + faster > 0 else { return [] }
    return [
      Conclusion(
        experiment: nil,
        text: "Beside QEMU with the same device and guest, swiftlet is faster at \(faster) and slower at \(slower) of "
          + "\(pairs.count) points.")
    ]
  }

  static func list(_ names: [String]) -> String {
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }
}
