import Threads

/// The line by which a device interrupts its guest. Any thread may drive it; the line remembers its level.
public protocol InterruptLine: AnyObject, Sendable {
  /// Drives the level. Setting the level that the line already has does nothing.
  func set(asserted: Bool)
}

/// A line that several devices share: asserted while any of them asserts it.
public final class SharedInterruptLine: Sendable {
  private struct State {
    var holders: Set<Int> = []
    var nextHolder = 0
  }
  private let state: Guarded<State>
  private let output: any InterruptLine

  /// - Parameter rank: must be below the rank of the output's lock, which is taken while this one is held.
  public init(_ rank: LockRank, output: any InterruptLine) {
    state = Guarded(rank, State())
    self.output = output
  }

  /// One device's end of the line.
  public func makeInput() -> any InterruptLine {
    Input(
      line: self,
      holder: state.withLock { state in
        defer { state.nextHolder += 1 }
        return state.nextHolder
      })
  }

  private func set(asserted: Bool, by holder: Int) {
    // Drives the output inside the lock, so that two inputs cannot leave it at an old level.
    state.withLock { state in
      let before = !state.holders.isEmpty
      if asserted { state.holders.insert(holder) } else { state.holders.remove(holder) }
      let after = !state.holders.isEmpty
      if before != after { output.set(asserted: after) }
    }
  }

  private final class Input: InterruptLine {
    private let line: SharedInterruptLine
    private let holder: Int

    init(line: SharedInterruptLine, holder: Int) {
      self.line = line
      self.holder = holder
    }

    func set(asserted: Bool) { line.set(asserted: asserted, by: holder) }
  }
}
