/// The destination of a serial port's output. Called on vCPU threads.
public protocol SerialBackend: AnyObject, Sendable {
  /// Takes one byte. Never blocks.
  func transmit(_ byte: UInt8)
  /// Whether the port shows an empty transmitter. If a guest sends while this is false, bytes may be dropped.
  var hasRoom: Bool { get }
  /// Calls `body`, on any thread, whenever `hasRoom` becomes true again.
  func onRoom(_ body: @escaping @Sendable () -> Void)
}

/// Defaults for backends that always have room.
extension SerialBackend {
  public var hasRoom: Bool { true }
  public func onRoom(_ body: @escaping @Sendable () -> Void) {}
}

/// Drops all output.
public final class NullSerial: SerialBackend {
  public init() {}
  public func transmit(_ byte: UInt8) {}
}
