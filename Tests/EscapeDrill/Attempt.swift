import CLinux
import Failures
import Glibc

/// One attempt: prepares what it needs before the confinement, and returns what to do in it.
///
/// The calls are raw, by their numbers in syscall_64.tbl, so that libc makes no other call before.
enum Attempt {
  typealias Body = @Sendable () -> Int
  typealias Maker = @Sendable (Preparation) throws(Failure) -> Body

  private static func call(
    _ number: Int, _ a: UInt = 0, _ b: UInt = 0, _ c: UInt = 0, _ d: UInt = 0, _ e: UInt = 0
  ) -> Body {
    { clinux_system_call(number, a, b, c, d, e) }
  }

  private static let here = UInt(bitPattern: -100)  // AT_FDCWD
  private static func text(_ string: String) -> UInt { Preparation.text(string) }
  private static func words(_ count: Int, _ words: [Int: UInt32] = [:]) -> UInt { Preparation.words(count, words) }

  static let all: [String: Maker] = files.merging(processes) { $1 }.merging(kernel) { $1 }.merging(devices) { $1 }

  private static let files: [String: Maker] = [
    "nothing": { _ in call(39) },  // getpid
    "open": { _ in call(257, here, text("/etc/passwd")) },
    "create": { call(257, here, $0.path("new"), UInt(O_CREAT | O_WRONLY), 0o600) },
    "own memory": { _ in call(257, here, text("/proc/self/mem"), UInt(O_RDWR)) },
    "openat2": { _ in call(437, here, text("/etc/passwd"), words(24), 24) },
    "unlink": { drill throws(Failure) in call(87, try drill.file()) },
    "rename": { drill throws(Failure) in call(82, try drill.file(), drill.path("renamed")) },
    "link": { drill throws(Failure) in call(86, try drill.file(), drill.path("linked")) },
    "truncate": { drill throws(Failure) in call(76, try drill.file(), 1) },
    "chmod": { drill throws(Failure) in call(90, try drill.file(), 0o777) },
    "mkdir": { call(83, $0.path("made"), 0o700) },
    "symlink": { call(88, text("/etc"), $0.path("link")) },
    "mknod": { call(133, $0.path("node"), 0o020600, 0x0103) },
    "stat": { _ in call(262, here, text("/etc/passwd"), words(256)) },
    "chroot": { call(161, text($0.folder)) },
    "mount": { drill throws(Failure) in
      try drill.leave(namespaces: 0x0002_0000)  // CLONE_NEWNS
      // MS_REC | MS_PRIVATE: nothing reaches the host's mounts.
      _ = clinux_system_call(165, 0, text("/"), 0, 0x4_4000, 0)
      return call(165, text("drill"), text(drill.folder), text("tmpfs"))
    },
  ]

  private static let processes: [String: Maker] = [
    "exec": { _ in call(59, text("/bin/true"), words(16), words(16)) },
    "fork": { _ in
      {
        let child = clinux_system_call(56, UInt(SIGCHLD), 0, 0, 0, 0)
        if child == 0 { _exit(0) }
        return child
      }
    },
    "thread": { _ in
      {
        var handle = pthread_t()
        return -Int(pthread_create(&handle, nil, { _ in nil }, nil))
      }
    },
    "kill": { drill throws(Failure) in call(62, try drill.victim(), UInt(SIGKILL)) },
    "tgkill": { drill throws(Failure) in
      let victim = try drill.victim()
      return call(234, victim, victim, UInt(SIGKILL))
    },
    "pidfd signal": { drill throws(Failure) in
      call(424, drill.processDescriptor(of: try drill.victim()), UInt(SIGKILL))
    },
    "pidfd descriptor": { drill throws(Failure) in
      let shared = try drill.open("/dev/null")
      return call(438, drill.processDescriptor(of: try drill.victim()), shared)
    },
    "ptrace": { drill throws(Failure) in call(101, 0x4206, try drill.victim()) },  // PTRACE_SEIZE
    "foreign memory": { drill throws(Failure) in
      // The two vectors: 8 bytes of this program's, and of the victim's copy of it.
      let (mine, its) = (words(16), words(16))
      for (vector, target) in [(mine, words(8)), (its, Preparation.page())] {
        UnsafeMutablePointer<UInt>(bitPattern: vector)?.initialize(to: target)
        UnsafeMutablePointer<UInt>(bitPattern: vector + 8)?.initialize(to: 8)
      }
      return call(310, try drill.victim(), mine, 1, its, 1)  // process_vm_readv
    },
    "setuid": { _ in call(117, 65534, 65534, 65534) },
    "unshare": { _ in call(272, 0x0400_0000) },  // CLONE_NEWUTS
    "setns": { drill throws(Failure) in call(308, try drill.openReading("/proc/self/ns/uts")) },
    "limits": { _ in call(302, 0, 7, words(16, [0: 8, 8: 8])) },  // prlimit64, RLIMIT_NOFILE
    "prctl": { _ in call(157, 4, 1) },  // PR_SET_DUMPABLE
    "SIGSYS": { _ in call(13, UInt(SIGSYS), words(32), 0, 8) },
  ]

  private static let kernel: [String: Maker] = [
    "bpf": { _ in
      // BPF_PROG_LOAD of a socket filter: r0 = 0; exit.
      let program = words(16, [0: 0xB7, 8: 0x95])
      let attributes = words(128, [0: 1, 4: 2])
      let license = text("GPL")
      UnsafeMutablePointer<UInt>(bitPattern: attributes + 8)?.initialize(to: program)
      UnsafeMutablePointer<UInt>(bitPattern: attributes + 16)?.initialize(to: license)
      return call(321, 5, attributes, 128)
    },
    "io_uring": { _ in call(425, 4, words(128)) },
    "userfaultfd": { _ in call(323, UInt(O_CLOEXEC)) },
    "perf": { _ in call(298, words(128, [0: 1, 4: 128, 8: 9]), 0, UInt.max, UInt.max) },  // PERF_COUNT_SW_DUMMY
    "keys": { _ in call(248, text("user"), text("drill"), text("x"), 1, UInt(bitPattern: -2)) },  // add_key
    "memfd": { _ in call(319, text("drill")) },
    "executable mapping": { _ in call(9, 0, 4096, UInt(PROT_READ | PROT_EXEC), 0x22, UInt.max) },
    "executable memory": { _ in call(10, Preparation.page(), 4096, UInt(PROT_READ | PROT_EXEC)) },
    "x32": { _ in call(0x4000_0027) },
  ]

  private static let devices: [String: Maker] = [
    "socket": { _ in call(41, UInt(AF_INET), UInt(SOCK_STREAM.rawValue)) },
    "connect TCP": { drill throws(Failure) in
      let peer = try drill.tcp()
      return call(42, peer.socket, peer.address, peer.length)
    },
    "connect abstract": { drill throws(Failure) in
      let peer = try drill.unix(isAbstract: true)
      return call(42, peer.socket, peer.address, peer.length)
    },
    "connect path": { drill throws(Failure) in
      let peer = try drill.unix(isAbstract: false)
      return call(42, peer.socket, peer.address, peer.length)
    },
    "bind TCP": { _ in call(49, UInt(Preparation.socket(AF_INET)), words(16, [0: UInt32(AF_INET)]), 16) },
    "another VM": { drill throws(Failure) in call(16, try drill.open("/dev/kvm"), 0xAE01) },  // KVM_CREATE_VM
    "another tap": { drill throws(Failure) in
      try drill.leave(namespaces: 0x4000_0000)  // CLONE_NEWNET
      let name: UInt32 = 0x3064_7764  // "dwd0"
      return call(16, try drill.open("/dev/net/tun"), 0x4004_54CA, words(40, [0: name, 16: 0x1002]))
    },
  ]
}
