import Failures

extension Machine {
  /// Puts the configuration's disks and NICs on the bus, where firmware would have left them.
  func plugDevices() throws(Failure) {}
}
