import CLinux
import Failures
import Glibc

/// The confinement of a `swiftlet run` that has opened everything that it needs.
///
/// The process loses its privileges first, while it has a single thread. Then each thread adds its own filter of system
/// calls (`ThreadConfinement`). Nothing of this can be undone.
public struct Sandbox: Sendable {
  /// The parts, for tests of each alone.
  public struct Layers: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// The identity, capabilities and no_new_privs.
    public static let privileges = Layers(rawValue: 1)
    public static let limits = Layers(rawValue: 2)
    public static let landlock = Layers(rawValue: 4)
    public static let seccomp = Layers(rawValue: 8)
    public static let all: Layers = [.privileges, .limits, .landlock, .seccomp]
  }

  /// Whether this program can be confined. Builds with a sanitizer or with coverage cannot.
  public static var isPossible: Bool { clinux_is_instrumented() == 0 }

  static let withoutIt = "Report it, and run without the sandbox meanwhile: --sandbox off"
  /// What this process is confined by, in words.
  public private(set) var enforced: [String] = []
  /// What the kernel cannot do, in words.
  public private(set) var missing: [String] = []
  private let hasSeccomp: Bool
  private let layers: Layers
  /// /proc/self/status, which later has the number of threads; nil without /proc.
  let status: Int32?

  /// Takes this process's privileges away. Call it with a single thread, after opening everything.
  ///
  /// - Parameters:
  ///   - user: the identity that the process takes on; nil to keep its own.
  ///   - inherited: descriptors that the process had at its start, from `openDescriptors`. Files, directories and
  ///     devices among them are closed, unless the process has adopted them since by FD_CLOEXEC.
  ///   - reserve: how many more descriptors it may open.
  public init(
    user: UserIdentity? = nil, inherited: [Int32] = [], reserve: Int = 64, layers: Layers = .all
  ) throws(Failure) {
    self.layers = layers
    let opened = clinux_open("/proc/self/status", O_RDONLY)
    status = opened >= 0 ? opened : nil
    hasSeccomp = clinux_has_seccomp() != 0
    guard threadCount ?? 1 == 1 else {
      throw Failure(
        "confine this process", cause: "it has \(threadCount ?? 0) threads already", fix: Self.withoutIt)
    }
    Self.closeFiles(inherited)
    if layers.contains(.limits) { try limit(reserve) }
    if layers.contains(.privileges) { try dropPrivileges(user) }
    if layers.contains(.landlock) { try enforceLandlock() }
    if layers.contains(.seccomp) { try prepareSeccomp() }
  }

  /// Closes files, directories and devices. Pipes and sockets stay: a caller may wait for their end, and take it for the
  /// end of this process.
  private static func closeFiles(_ inherited: [Int32]) {
    for descriptor in inherited where descriptor > 2 && fcntl(descriptor, F_GETFD) & FD_CLOEXEC == 0 {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFREG, S_IFDIR, S_IFBLK, S_IFCHR: close(descriptor)
      default: break
      }
    }
  }

  private mutating func limit(_ reserve: Int) throws(Failure) {
    let action = "limit this process"
    try systemCall(action, fix: Self.withoutIt) { clinux_limit_resource(Int32(CLINUX_RLIMIT_CORE), 0) }
    // RLIMIT_NPROC stays: KVM starts a kernel thread in this process at the first KVM_RUN. The filters forbid threads.
    if let highest = Self.openDescriptors.max() {
      let most = UInt(highest) + 1 + UInt(max(0, reserve))
      try systemCall(action, fix: Self.withoutIt) { clinux_limit_resource(Int32(CLINUX_RLIMIT_NOFILE), most) }
      enforced.append("at most \(most) descriptors")
    }
  }

  private mutating func dropPrivileges(_ user: UserIdentity?) throws(Failure) {
    // It needs CAP_SETPCAP. A process without it cannot gain capabilities either, because of no_new_privs.
    if clinux_drop_inheritable_capabilities() < 0, errno != EPERM {
      throw Failure("drop the capabilities of this process", errno: errno, fix: Self.withoutIt)
    }
    if let user {
      try systemCall("become user \(user.user), group \(user.group)", fix: "Use another --user, or leave it out.") {
        clinux_become(user.user, user.group)
      }
      enforced.append("user \(user.user), group \(user.group)")
    }
    try systemCall("drop the capabilities of this process", fix: Self.withoutIt) { clinux_drop_capabilities() }
    enforced.append("no capabilities")
    if clinux_set_no_new_privileges() == 0 {
      enforced.append("no_new_privs")
    } else {
      missing.append("no_new_privs")
    }
  }

  private mutating func enforceLandlock() throws(Failure) {
    let landlock = Landlock.current
    guard landlock.abi > 0 else {
      missing.append("Landlock (\(landlock.reason))")
      return
    }
    try landlock.enforce()
    enforced.append("Landlock ABI \(landlock.abi)")
    if !landlock.missing.isEmpty {
      missing.append("\(landlock.missingText) (the kernel has ABI \(landlock.abi))")
    }
  }

  private mutating func prepareSeccomp() throws(Failure) {
    guard hasSeccomp else {
      missing.append("seccomp (\(Self.noSeccomp))")
      return
    }
    clinux_die_plainly()
    try systemCall("handle violations", fix: Self.withoutIt) {
      // The handler reads the table at any time later, so it is never freed.
      let names = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: ThreadKind.names.count)
      for (index, name) in ThreadKind.names.enumerated() {
        (names + index).initialize(to: UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self))
      }
      return clinux_handle_violations(names, ThreadKind.names.count)
    }
    enforced.append("seccomp")
  }

  /// Adds the filter of `kind` to the calling thread.
  public func confineThread(as kind: ThreadKind) throws(Failure) {
    guard layers.contains(.seccomp), hasSeccomp else { return }
    let program = SeccompProgram(kind.permissions, tag: kind.rawValue).instructions
    try systemCall("confine a thread by seccomp", fix: Self.withoutIt) {
      clinux_add_seccomp_filter(program, program.count)
    }
  }

  // MARK: The process's state

  /// The number of threads; nil without /proc.
  var threadCount: Int? {
    guard let status else { return nil }
    var text = [UInt8](repeating: 0, count: 4096)
    let count = pread(status, &text, text.count, 0)
    let lines = String(decoding: text.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("Threads:") }) else { return nil }
    return line.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) }
  }

  /// The descriptors that are open now; empty without /proc.
  public static var openDescriptors: [Int32] {
    guard let folder = opendir("/proc/self/fd") else { return [] }
    defer { closedir(folder) }
    var descriptors: [Int32] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if let number = Int32(name), number != dirfd(folder) { descriptors.append(number) }
    }
    return descriptors
  }
}
