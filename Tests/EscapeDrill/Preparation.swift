import CLinux
import Failures
import Glibc

/// What the attempts need from before the confinement: victims, sockets and open devices.
struct Preparation {
  let folder: String

  /// Paths and buffers stay allocated, since the process ends after one attempt.
  static func text(_ string: String) -> UInt { UInt(bitPattern: strdup(string)) }

  func path(_ name: String) -> UInt { Self.text("\(folder)/\(name)") }

  /// A file that exists.
  func file() throws(Failure) -> UInt {
    let name = "\(folder)/file"
    close(try systemCall("create \(name)") { clinux_open(name, O_CREAT | O_RDWR) })
    return Self.text(name)
  }

  /// A zeroed buffer with words at byte offsets.
  static func words(_ count: Int, _ words: [Int: UInt32] = [:]) -> UInt {
    let bytes = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
    memset(bytes, 0, count)
    for (offset, word) in words { bytes.storeBytes(of: word, toByteOffset: offset, as: UInt32.self) }
    return UInt(bitPattern: bytes)
  }

  static func page() -> UInt { UInt(bitPattern: mmap(nil, 4096, PROT_READ | PROT_WRITE, 0x22, -1, 0)) }

  /// Another process, outside the confinement. It ends by itself after a minute: Landlock also stops the signal that a
  /// parent's death would send.
  func victim() throws(Failure) -> UInt {
    let parent = getpid()
    // A raw fork (clone with SIGCHLD): Swift does not import fork(2).
    let child = try systemCall("start a victim") { Int32(clinux_system_call(56, UInt(SIGCHLD), 0, 0, 0, 0)) }
    if child == 0 {
      for stream: Int32 in 0...2 { close(stream) }
      for _ in 0..<1200 where getppid() == parent { usleep(50_000) }
      _exit(0)
    }
    return UInt(child)
  }

  func processDescriptor(of victim: UInt) -> UInt { UInt(bitPattern: clinux_system_call(434, victim, 0, 0, 0, 0)) }

  func open(_ path: String) throws(Failure) -> UInt {
    UInt(try systemCall("open \(path)") { clinux_open(path, O_RDWR) })
  }

  func openReading(_ path: String) throws(Failure) -> UInt {
    UInt(try systemCall("open \(path)") { clinux_open(path, O_RDONLY) })
  }

  /// Leaves the host's interfaces and mounts alone.
  func leave(namespaces: Int) throws(Failure) {
    try systemCall("make namespaces") { Int32(clinux_system_call(272, UInt(namespaces), 0, 0, 0, 0)) }
  }

  static func socket(_ family: Int32) -> Int32 { Glibc.socket(family, Int32(SOCK_STREAM.rawValue), 0) }

  /// A socket, and the address of a listener outside the confinement.
  func tcp() throws(Failure) -> (socket: UInt, address: UInt, length: UInt) {
    let listener = Self.socket(AF_INET)
    var length = socklen_t(16)
    // struct sockaddr_in: AF_INET, port 0, 127.0.0.1.
    let address = Self.words(16, [0: UInt32(AF_INET), 4: 0x0100_007F])
    let pointer = UnsafeMutablePointer<sockaddr>(bitPattern: address)
    try systemCall("listen") { bind(listener, pointer, length) }
    try systemCall("listen") { listen(listener, 1) }
    try systemCall("listen") { getsockname(listener, pointer, &length) }
    return (UInt(Self.socket(AF_INET)), address, 16)
  }

  /// The same for a Unix socket: in the folder, or with an abstract name.
  func unix(isAbstract: Bool) throws(Failure) -> (socket: UInt, address: UInt, length: UInt) {
    let name = Array((isAbstract ? "\0drill\(getpid())" : "\(folder)/socket").utf8)
    let address = Self.words(110, [0: UInt32(AF_UNIX)])
    let bytes = UnsafeMutableRawPointer(bitPattern: address)
    for (place, byte) in name.prefix(107).enumerated() {
      bytes?.storeBytes(of: byte, toByteOffset: 2 + place, as: UInt8.self)
    }
    let length = 2 + name.count + (isAbstract ? 0 : 1)
    let listener = Self.socket(AF_UNIX)
    try systemCall("listen") {
      bind(listener, UnsafePointer<sockaddr>(bitPattern: address), socklen_t(length))
    }
    try systemCall("listen") { listen(listener, 1) }
    return (UInt(Self.socket(AF_UNIX)), address, UInt(length))
  }
}
