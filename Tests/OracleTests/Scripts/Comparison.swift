import Testing

/// A step at which the two machines disagree, or no longer do.
struct Difference: CustomStringConvertible, Sendable {
  var index: Int
  var step: Step
  var ours: Observation
  var theirs: Observation
  /// The table has an entry for the step, but both machines now agree.
  var isStale = false

  var description: String {
    if isStale, let known = step.tolerance?.difference {
      return "step \(index), \(step): both give \(ours); delete the known difference .\(known)"
    }
    return "step \(index), \(step): swiftlet \(ours), QEMU \(theirs)"
  }
}

/// Compares the observations of both machines. A tolerated bit may differ; in a written script, a tolerated step must.
func differences(_ script: Script, _ ours: [Observation], _ theirs: [Observation]) -> [Difference] {
  let observing = script.steps.enumerated().filter { $0.element.observes }
  return zip(observing, zip(ours, theirs)).compactMap { place, pair in
    let (step, tolerance) = (place.element, place.element.tolerance)
    var difference = Difference(index: place.offset, step: step, ours: pair.0, theirs: pair.1)
    var (isEqual, isTolerated) = (pair.0 == pair.1, true)
    if case (.value(let mine), .value(let other)) = pair {
      var mask = ~0 as UInt64
      if case .read(_, _, _, let compared, _) = step { mask = compared }
      let changed = (mine ^ other) & mask
      isEqual = changed == 0
      isTolerated = changed & ~(tolerance?.bits ?? 0) == 0
    }
    if isEqual, tolerance?.isCertain != true { return nil }
    if !isEqual, tolerance != nil, isTolerated { return nil }
    difference.isStale = isEqual
    return difference
  }
}
