import Backends
import CLinux
import Failures
import Glibc
import Machine
import Synchronization
import Threads

/// Passes standard input (a terminal, a pipe or a file) to COM1, as fast as the guest reads it.
///
/// A thread reads only as many bytes as the port has room for, so nothing is lost. A terminal is raw meanwhile, so that
/// Tab, Ctrl-C and other keys go to the guest. `ConsoleKeys` describes the keys that reach the VMM.
final class ConsoleInput: Sendable {
  private let machine: Machine
  private let output: any SerialBackend
  private let isTerminal: Bool
  private let wake: EventDescriptor
  private let isClosing = Atomic(false)
  private let ended = Latch()
  private let thread = Guarded<BackgroundThread?>(.leaf, nil)

  /// Reads for `machine`. Text of the VMM's own keys goes to `output`, after the guest's output.
  ///
  /// - Parameter preparing: the first work of the thread.
  init(
    machine: Machine, output: any SerialBackend, preparing: (@Sendable () -> Void)? = nil
  ) throws(Failure) {
    self.machine = machine
    self.output = output
    let wake = try EventDescriptor()
    self.wake = wake
    isTerminal = isatty(0) == 1 && clinux_terminal_make_raw(0) == 0
    machine.serial.onInputDrained { wake.signal() }
    let reader = BackgroundThread { [self] in
      preparing?()
      run()
      ended.open()
    }
    thread.withLock { $0 = reader }
    reader.start()
  }

  /// Ends the thread and restores the terminal.
  func close() {
    isClosing.store(true, ordering: .sequentiallyConsistent)
    wake.signal()
    thread.withLock { thread in
      // The thread may block in `read`, because another process took the input that `poll` reported.
      while thread != nil, !ended.wait(nanoseconds: 10_000_000) { thread?.interrupt() }
      thread?.join()
      thread = nil
    }
    if isTerminal { clinux_terminal_restore() }
  }

  // MARK: The thread

  private func run() {
    var keys = ConsoleKeys()
    var monitor = ConsoleMonitor()
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !isClosing.load(ordering: .sequentiallyConsistent) {
      let room = min(machine.serial.inputRoom, buffer.count)
      guard waitForInput(hasRoom: room > 0) else { continue }
      let count = read(0, &buffer, room)
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      // The end of the file or pipe, or the terminal hung up.
      guard count > 0 else { return }
      let bytes = buffer[..<count]
      machine.serial.receive(isTerminal ? typed(bytes, &keys, &monitor) : Array(bytes))
    }
  }

  /// Waits for input, or without room only for the guest. Returns whether standard input can be read now.
  private func waitForInput(hasRoom: Bool) -> Bool {
    var descriptors = [pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)]
    if hasRoom { descriptors.append(pollfd(fd: 0, events: Int16(POLLIN), revents: 0)) }
    guard poll(&descriptors, nfds_t(descriptors.count), -1) > 0 else { return false }
    if descriptors[0].revents != 0 { wake.drain() }
    return hasRoom && descriptors[1].revents != 0
  }

  /// Handles the keys for the VMM in `bytes`. Returns the bytes for the guest.
  private func typed(
    _ bytes: ArraySlice<UInt8>, _ keys: inout ConsoleKeys, _ monitor: inout ConsoleMonitor
  ) -> [UInt8] {
    var guests: [UInt8] = []
    for byte in bytes {
      switch keys.take(byte) {
      case .byte(let byte):
        if monitor.isOpen { monitor.take(byte, machine: machine, show: show) } else { guests.append(byte) }
      case .exit: machine.stop()
      case .monitor: show(monitor.toggle())
      case .help: show("\n" + ConsoleKeys.explanation)
      case nil: break
      }
    }
    return guests
  }

  private func show(_ text: String) { for byte in text.utf8 { output.transmit(byte) } }
}
