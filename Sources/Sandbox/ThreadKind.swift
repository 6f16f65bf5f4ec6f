import CLinux
import Glibc

/// The kinds of threads in `swiftlet run`. Each has its own list of system calls.
public enum ThreadKind: UInt16, CaseIterable, Sendable {
  /// The main thread: waits for the machine's end, tears it down, writes the statistics, and ends the process.
  case main = 1
  /// Runs one vCPU.
  case vCPU
  /// Runs the event loop, with the data planes of disks and NICs.
  case loop
  /// Reads or writes COM1's streams, or waits for signals.
  case helper

  /// In the order of the raw values, as in the messages of `clinux_handle_violations`.
  static let names: [StaticString] = ["the main thread", "a vCPU thread", "the I/O thread", "a helper thread"]

  /// The calls that a thread of this kind may make, the most frequent conditional one first.
  public var permissions: [Permission] {
    switch self {
    case .vCPU:
      [Permission(.ioctl, .isOneOf(argument: 1, [Self.run] + Self.machine + Self.registers + Self.terminal))]
        + Self.common + Self.signalling + [Permission(.eventfd2), Permission(.epollWait)]
    case .loop:
      [Permission(.ioctl, .isOneOf(argument: 1, Self.machine + Self.tap + Self.terminal))] + Self.common
        + Self.signalling + Self.files
        + [.epollWait, .epollPwait, .epollPwait2, .epollCtl, .eventfd2, .ioSubmit, .ioGetevents, .ioDestroy]
        .map { Permission($0) }
        + [.writev, .sendto, .recvfrom, .fdatasync, .fallocate].map { Permission($0) }
    case .main:
      [Permission(.ioctl, .isOneOf(argument: 1, Self.machine + Self.registers + Self.terminal))] + Self.common
        + Self.signalling + Self.files
        + [.pread64, .fstat, .lseek, .ftruncate, .epollCtl, .ioDestroy, .eventfd2].map { Permission($0) }
    case .helper:
      [Permission(.ioctl, .isOneOf(argument: 1, Self.machine + Self.terminal))] + Self.common + Self.signalling
        + [Permission(.poll), Permission(.pread64)]
    }
  }

  // MARK: Parts

  /// What the runtime, the allocator and the locks of any thread need.
  private static var common: [Permission] {
    [
      // No new code: nothing becomes executable.
      Permission(.mmap, .hasNone(argument: 2, UInt32(PROT_EXEC))),
      Permission(.mprotect, .hasNone(argument: 2, UInt32(PROT_EXEC))),
      // The handler that reports a violation stays.
      Permission(.rtSigaction, .isNot(argument: 0, UInt32(SIGSYS))),
    ]
      + [
        .read, .write, .close, .futex, .munmap, .mremap, .madvise, .brk, .rtSigprocmask, .rtSigreturn, .schedYield,
        .clockGettime, .clockNanosleep, .getpid, .gettid, .restartSyscall, .exit, .exitGroup,
      ].map { Permission($0) }
  }

  /// Signals to threads of this process: kicks of vCPUs, and abort().
  private static var signalling: [Permission] {
    [Permission(.tgkill, .isOneOf(argument: 0, [UInt32(bitPattern: getpid())]))]
  }

  /// Files release their locks before they are closed.
  private static var files: [Permission] { [Permission(.fcntl, .isOneOf(argument: 1, [37]))] }  // F_OFD_SETLK

  private static let run = request(clinux_KVM_RUN())

  /// What devices do to a machine that runs: interrupts, doorbells, coalesced writes, and pages of registers.
  private static let machine = [
    clinux_KVM_IRQ_LINE(), clinux_KVM_SIGNAL_MSI(), clinux_KVM_SET_GSI_ROUTING(), clinux_KVM_IRQFD(),
    clinux_KVM_IOEVENTFD(), clinux_KVM_REGISTER_COALESCED_MMIO(), clinux_KVM_UNREGISTER_COALESCED_MMIO(),
    clinux_KVM_SET_USER_MEMORY_REGION(),
  ].map(request)

  /// A crash report reads them.
  private static let registers = [clinux_KVM_GET_REGS(), clinux_KVM_GET_SREGS()].map(request)

  /// A raw terminal is restored on any thread that crashes. TIOCSTI, which types into a terminal, is not among them.
  private static let terminal: [UInt32] = [UInt32(TCGETS), UInt32(TCSETS), UInt32(TCSETSW), UInt32(TCSETSF)]

  private static let tap = [UInt32(CLINUX_TUNSETOFFLOAD)]

  private static func request(_ number: UInt) -> UInt32 { UInt32(truncatingIfNeeded: number) }
}
