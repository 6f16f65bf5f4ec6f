/// A device of which the event loop or a backend holds a reference. The registers on the bus are `BusTarget`s.
///
/// Its initializer connects it to its loop and its backend, and starts it; `attach(to:)` puts its registers on the bus.
/// A guest's reset of the machine ends the run, so a device needs no power-on reset.
package protocol Device: AnyObject, Sendable {
  /// Starts no request of the driver and takes no frame of the backend from now on. The vCPUs are paused already. On the
  /// loop's thread.
  ///
  /// - Returns: whether nothing is under way any more, so that guest memory stays as it is. If not, call it again.
  func pause() -> Bool

  /// Continues after `pause`, with everything that arrived in the meantime. On the loop's thread.
  func start()

  /// Disconnects the device from its loop, its backend and its lines. Nothing moves afterwards, and a second call does
  /// nothing. On the loop's thread, between two of its handlers.
  func detach()
}

/// For devices that only raise interrupts by a timer.
extension Device {
  package func pause() -> Bool { true }
  package func start() {}
}
