import Registers
import Threads

/// Sends a function's messages to the interrupt controller. Machine implements it with KVM; tests record the calls.
public protocol MessageRouter: AnyObject, Sendable {
  /// Sets the message of `vector`; nil while the vector is masked. There is only one call at a time, and the vector is
  /// not signalled during the call.
  func route(vector: Int, message: MSIXMessage?)
  /// Sends the vector's message. Called on any thread.
  func signal(vector: Int)
}

/// A memory write that interrupts (PCI 3.0, 6.8.2.9).
public struct MSIXMessage: Sendable, Equatable {
  public var address: UInt64
  public var data: UInt32
  public init(address: UInt64, data: UInt32) {
    self.address = address
    self.data = data
  }
}

/// The MSI-X table, pending bits and capability of one function (PCI 3.0, 6.8.2).
///
/// The table has its own lock: vCPUs write it while the I/O thread sends. The router's `route` is called without that
/// lock, because KVM may take milliseconds for it. Meanwhile, a message of the vector becomes pending.
public final class MSIXTable: Sendable {
  private struct State {
    var entries: [UInt32]
    var pending: [Bool]
    var enabled = false
    var functionMasked = false
    var router: (any MessageRouter)?
    /// The messages that the router has; nil while `route` runs, and for a masked vector.
    var routed: [MSIXMessage?]

    func isSilent(_ vector: Int) -> Bool {
      !enabled || functionMasked || entries[4 * vector + 3] & MSIXRegister.entryMasked != 0
    }

    func message(_ vector: Int) -> MSIXMessage {
      MSIXMessage(
        address: UInt64(entries[4 * vector]) | UInt64(entries[4 * vector + 1]) << 32, data: entries[4 * vector + 2])
    }

    /// The message that the vector should send; nil while it is silent.
    func wanted(_ vector: Int) -> MSIXMessage? { isSilent(vector) ? nil : message(vector) }
  }

  public let vectorCount: Int
  /// Size of the table in bytes.
  public let tableSize: Int
  private let state: Guarded<State>
  /// Held during `route`. Only vCPUs take it.
  private let routing = Guarded(.messageRouting, ())

  public init(vectorCount: Int) {
    self.vectorCount = vectorCount
    tableSize = vectorCount * MSIXRegister.entrySize
    var entries = [UInt32](repeating: 0, count: 4 * vectorCount)
    for vector in 0..<vectorCount { entries[4 * vector + 3] = MSIXRegister.entryMasked }
    state = Guarded(
      .messages,
      State(
        entries: entries, pending: Array(repeating: false, count: vectorCount),
        routed: Array(repeating: nil, count: vectorCount)))
  }

  public func connect(_ router: any MessageRouter) { state.withLock { $0.router = router } }

  public var isEnabled: Bool { state.withLock { $0.enabled } }

  /// The body of the capability, for a table at `tableOffset` and pending bits at `pendingOffset` of BAR `bar`.
  public func capability(bar: Int, tableOffset: UInt32, pendingOffset: UInt32) -> (body: [UInt8], writable: [UInt8]) {
    func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) } }
    let size = UInt16(vectorCount - 1)
    let control = [UInt8(truncatingIfNeeded: size), UInt8(truncatingIfNeeded: size >> 8)]
    return (control + bytes(tableOffset | UInt32(bar)) + bytes(pendingOffset | UInt32(bar)), [0, 0xC0])
  }

  /// The guest wrote Message Control.
  public func setControl(_ control: UInt16) {
    state.withLock { state in
      state.enabled = control & MSIXRegister.controlEnable != 0
      state.functionMasked = control & MSIXRegister.controlFunctionMask != 0
    }
    for vector in 0..<vectorCount { updateRoute(of: vector) }
  }

  /// Passes a vector's message to the router if it changed. Sends a pending message if the vector is no longer silent.
  private func updateRoute(of vector: Int) {
    routing.withLock { _ in
      let (wanted, isChanged, router) = state.withLock { state in
        let wanted = state.wanted(vector)
        let isChanged = wanted != state.routed[vector]
        if isChanged { state.routed[vector] = nil }
        return (wanted, isChanged, state.router)
      }
      if isChanged { router?.route(vector: vector, message: wanted) }
      state.withLock { state in
        state.routed[vector] = wanted
        guard wanted != nil, state.wanted(vector) == wanted, state.pending[vector] else { return }
        state.pending[vector] = false
        state.router?.signal(vector: vector)
      }
    }
  }

  /// Reads 4 or 8 aligned bytes of the table. Other accesses, which the specification leaves undefined, read 0.
  public func readTable(_ offset: Int, width: Int) -> UInt64 {
    guard let index = entryIndex(offset, width) else { return 0 }
    return state.withLock { state in
      let low = UInt64(state.entries[index])
      return width == 8 ? low | UInt64(state.entries[index + 1]) << 32 : low
    }
  }

  public func writeTable(_ offset: Int, width: Int, _ value: UInt64) {
    guard let index = entryIndex(offset, width) else { return }
    state.withLock { state in
      state.entries[index] = UInt32(truncatingIfNeeded: value)
      if width == 8 { state.entries[index + 1] = UInt32(truncatingIfNeeded: value >> 32) }
    }
    updateRoute(of: index / 4)
  }

  private func entryIndex(_ offset: Int, _ width: Int) -> Int? {
    guard width == 4 || width == 8, offset >= 0, offset % width == 0, offset + width <= tableSize else { return nil }
    return offset / 4
  }

  /// Reads 4 or 8 aligned bytes of the pending-bit array.
  public func readPending(_ offset: Int, width: Int) -> UInt64 {
    guard offset >= 0, width == 4 || width == 8 else { return 0 }
    return state.withLock { state in
      var bits: UInt64 = 0
      for bit in 0..<(8 * width) {
        let vector = 8 * offset + bit
        if vector < vectorCount, state.pending[vector] { bits |= 1 << UInt64(bit) }
      }
      return bits
    }
  }

  /// Sends the message of `vector`, or sets its pending bit while it is masked. False if MSI-X is off or there is no
  /// such vector.
  @discardableResult
  public func signal(_ vector: Int) -> Bool {
    guard vector >= 0, vector < vectorCount else { return false }
    return state.withLock { state in
      guard state.enabled else { return false }
      if let wanted = state.wanted(vector), wanted == state.routed[vector] {
        state.router?.signal(vector: vector)
      } else {
        state.pending[vector] = true
      }
      return true
    }
  }
}
