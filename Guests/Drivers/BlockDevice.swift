/// How a driver learns that a device is done.
enum CompletionMode {
  /// Looks again and again, at memory where the device allows it, at a register where it does not.
  case poll
  /// Sleeps until the device interrupts.
  case interrupt
}

/// Which register accesses a driver makes: as few as the hardware needs, or just those of Linux's driver.
enum DriverStyle {
  case lean, linux
}

/// A disk as the programs use it: requests go in, completions come out, in any order.
protocol BlockDevice: AnyObject {
  /// Sectors of 512 bytes.
  var sectorCount: UInt64 { get }
  /// Requests that may be under way at once.
  var queueDepth: Int { get }
  /// Starts a transfer of whole sectors; `tag` comes back when it is done. Nothing may reach the device before `kick`.
  func submit(isWrite: Bool, sector: UInt64, address: UInt64, bytes: Int, tag: Int)
  /// Lets the device see what was submitted.
  func kick()
  /// Waits for the next completion and returns its tag.
  func waitForCompletion() -> Int
  /// Makes all completed writes durable.
  func flush()
}
