/// Where a serial port's output goes. Called on vCPU threads.
public protocol SerialBackend: AnyObject, Sendable {
  /// Takes one byte; never waits.
  func transmit(_ byte: UInt8)
  /// Whether the port shows an empty transmitter. A guest that sends without looking may lose bytes while this is false.
  var hasRoom: Bool { get }
  /// Calls `body`, on any thread, whenever `hasRoom` becomes true again.
  func onRoom(_ body: @escaping @Sendable () -> Void)
}

/// For backends that take everything at once.
extension SerialBackend {
  public var hasRoom: Bool { true }
  public func onRoom(_ body: @escaping @Sendable () -> Void) {}
}

/// Nowhere.
public final class NullSerial: SerialBackend {
  public init() {}
  public func transmit(_ byte: UInt8) {}
}
