/// What a machine asks of each device that its loop or its backend knows, besides the registers on the bus.
package protocol Device: AnyObject, Sendable {
  /// Takes the device from its loop, its backend and its lines. Nothing moves afterwards, and a second call does nothing.
  /// On the loop's thread, between two of its handlers.
  func detach()
}
