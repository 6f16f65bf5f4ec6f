/// How a driver learns that a device is done.
enum CompletionMode {
  /// Polls memory if the device allows it, otherwise a register.
  case poll
  /// Sleeps until the device interrupts.
  case interrupt
}

/// The register accesses that a driver makes: as few as the hardware needs, or exactly those of Linux's driver.
enum DriverStyle {
  case lean, linux
}

/// The interface of a disk for programs. Requests may complete in any order.
protocol BlockDevice: AnyObject {
  /// The number of sectors of 512 bytes.
  var sectorCount: UInt64 { get }
  /// The maximum number of requests in flight.
  var queueDepth: Int { get }
  /// Submits a transfer of whole sectors; its completion returns `tag`. The device may see nothing before `kick`.
  func submit(isWrite: Bool, sector: UInt64, address: UInt64, bytes: Int, tag: Int)
  /// Shows the submitted requests to the device.
  func kick()
  /// Waits for the next completion and returns its tag.
  func waitForCompletion() -> Int
  /// Makes all completed writes durable.
  func flush()
  /// Reads a register without side effects: one exit to user space.
  func readStatus()
}
