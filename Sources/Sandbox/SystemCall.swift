import CLinux

/// A system call of x86-64 by its number (arch/x86/entry/syscalls/syscall_64.tbl of Linux). Only those that a thread of
/// `swiftlet run` needs.
public enum SystemCall: UInt32, CaseIterable, Sendable {
  case read = 0
  case write = 1
  case close = 3
  case fstat = 5
  case poll = 7
  case lseek = 8
  case mmap = 9
  case mprotect = 10
  case munmap = 11
  case brk = 12
  case rtSigaction = 13
  case rtSigprocmask = 14
  case rtSigreturn = 15
  case ioctl = 16
  case pread64 = 17
  case writev = 20
  case schedYield = 24
  case mremap = 25
  case madvise = 28
  case getpid = 39
  case sendto = 44
  case recvfrom = 45
  case exit = 60
  case fcntl = 72
  case fdatasync = 75
  case ftruncate = 77
  case gettid = 186
  case futex = 202
  case ioDestroy = 207
  case ioGetevents = 208
  case ioSubmit = 209
  case restartSyscall = 219
  case clockGettime = 228
  case clockNanosleep = 230
  case exitGroup = 231
  case epollWait = 232
  case epollCtl = 233
  case tgkill = 234
  case epollPwait = 281
  case fallocate = 285
  case eventfd2 = 290
  case epollPwait2 = 441
}

/// A system call that a filter allows, perhaps only with some arguments.
public struct Permission: Sendable {
  /// A condition on the lower 32 bits of an argument. The kernel ignores the upper bits of each argument that is used
  /// here, or refuses them itself.
  public enum Condition: Sendable {
    case always
    /// The argument at the index is one of the values.
    case isOneOf(argument: Int, [UInt32])
    /// The argument at the index is another value.
    case isNot(argument: Int, UInt32)
    /// The argument at the index has none of the bits.
    case hasNone(argument: Int, UInt32)
  }

  public let call: SystemCall
  public let condition: Condition

  init(_ call: SystemCall, _ condition: Condition = .always) {
    self.call = call
    self.condition = condition
  }
}
