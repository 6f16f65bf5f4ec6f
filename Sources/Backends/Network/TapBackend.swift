import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory

/// A tap interface of the host, with a vnet header on every frame so that offloads pass through.
///
/// Used on its event loop. A frame that finds no receive buffer waits, and the tap's own queue fills behind it.
public final class TapBackend: NetworkBackend, @unchecked Sendable {
  /// Frames read or offered before others on the loop get their turn.
  private static let batch = 64
  /// IOV_MAX.
  private static let mostPieces = 1024

  public let kind = "tap"
  public let interface: String
  public let counters: Counters
  public let acceptedOffloads: NetworkOffloads = [.checksum, .tso4, .tso6]
  private let descriptor: Int32
  private let loop: EventLoop
  private let adapter: FrameAdapter
  private var receiver: (any FrameReceiver)?
  private var watch: EventLoop.WatchKey?
  private let bounce = UnsafeMutableRawBufferPointer.allocate(
    byteCount: VirtioHeader.size + Frame.maximumSize, alignment: 64)
  private let header = UnsafeMutableRawBufferPointer.allocate(byteCount: VirtioHeader.size, alignment: 16)
  private var vector: [iovec] = []
  /// A frame in `bounce` that the receiver had no buffer for.
  private var waiting: Frame?
  private var negotiated: NetworkOffloads?

  /// Attaches to the interface `interface`, which exists or which the caller may create.
  public init(interface: String, loop: EventLoop, counters: Counters) throws(Failure) {
    self.interface = interface
    self.loop = loop
    self.counters = counters
    adapter = FrameAdapter(counters: counters)
    // The kernel would number "tap%d" by itself, and says EINVAL of the rest, as of an interface that is no tap.
    guard !interface.isEmpty, interface.utf8.count < 16, interface != ".", interface != "..",
      interface.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"/:%".utf8.contains($0) })
    else {
      throw Failure(
        "open the tap '\(interface)'",
        cause: "an interface name has 1 to 15 characters, none of them a space, / : or %",
        mend: "List the interfaces with: ip link")
    }
    let action = "open the tap \(interface)"
    let opened = clinux_open("/dev/net/tun", O_RDWR | O_NONBLOCK)
    guard opened >= 0 else {
      let code = errno
      throw Failure(
        action, cause: "/dev/net/tun: \(String(cString: strerror(code)))",
        mend: code == EACCES
          ? "Let your user open it: sudo chmod 0666 /dev/net/tun" : "Load the module: sudo modprobe tun")
    }
    guard clinux_tap_attach(opened, interface) >= 0 else {
      let code = errno
      close(opened)
      switch code {
      case EPERM:
        throw Failure(
          action, cause: "there is no such tap of yours, and making one needs CAP_NET_ADMIN",
          mend: "sudo ip tuntap add \(interface) mode tap user $USER && sudo ip link set \(interface) up")
      case EBUSY:
        throw Failure(action, cause: "another process has it open", mend: "Give each VM its own tap.")
      case EINVAL:
        throw Failure(
          action, cause: "it is there but is not a tap, or is a multi-queue one",
          mend: "Make one of another name: sudo ip tuntap add NAME mode tap user $USER")
      default: throw Failure(action, errno: code)
      }
    }
    descriptor = opened
    guard clinux_tap_set_header_size(opened, Int32(VirtioHeader.size)) >= 0 else {
      throw Failure(action, errno: errno)
    }
    negotiate([])
  }

  deinit {
    close(descriptor)
    bounce.deallocate()
    header.deallocate()
  }

  /// Tells the kernel what the receiver takes, whenever that has changed.
  private func negotiate(_ offloads: NetworkOffloads) {
    guard offloads != negotiated else { return }
    negotiated = offloads
    var flags: UInt32 = 0
    if offloads.contains(.checksum) {
      flags |= UInt32(CLINUX_TUN_F_CSUM)
      if offloads.contains(.tso4) { flags |= UInt32(CLINUX_TUN_F_TSO4) }
      if offloads.contains(.tso6) { flags |= UInt32(CLINUX_TUN_F_TSO6) }
    }
    clinux_tap_set_offload(descriptor, flags)
  }

  public func connect(_ receiver: (any FrameReceiver)?) {
    loop.sync {
      self.receiver = receiver
      self.waiting = nil
      self.setReading(receiver != nil)
    }
  }

  private func setReading(_ wanted: Bool) {
    if wanted, watch == nil {
      watch = try? loop.watch(descriptor) { [weak self] in self?.readFrames() }
    } else if !wanted, let key = watch {
      loop.remove(key)
      watch = nil
    }
  }

  // MARK: To the host

  public func send(_ frame: Frame) {
    VirtioHeader(frame).store(to: header)
    vector.removeAll(keepingCapacity: true)
    vector.append(iovec(iov_base: header.baseAddress, iov_len: header.count))
    if frame.pieces.pieces.count < Self.mostPieces {
      vector.append(contentsOf: frame.pieces.pieces)
      write()
      return
    }
    // A guest may scatter a frame over more pieces than writev takes.
    let joined = UnsafeMutableRawBufferPointer.allocate(byteCount: frame.count, alignment: 16)
    defer { joined.deallocate() }
    counters.add(.bytesCopied, frame.pieces.copyOut(into: joined))
    counters.add(.bounces)
    vector.append(iovec(iov_base: joined.baseAddress, iov_len: joined.count))
    write()
  }

  private func write() {
    while writev(descriptor, vector, Int32(vector.count)) < 0 {
      if errno == EINTR { continue }
      // The interface's queue is full, or it is down.
      counters.add(.dropsTap)
      return
    }
  }

  public func sentBurst() {}

  // MARK: From the host

  private func readFrames() {
    guard let receiver else { return setReading(false) }
    negotiate(receiver.acceptedOffloads)
    var hasBurst = false
    for _ in 0..<Self.batch {
      let count = read(descriptor, bounce.baseAddress, bounce.count)
      if count < 0, errno == EINTR { continue }
      // The interface was deleted: the descriptor stays in error, and watching it would spin.
      if count < 0, errno == EBADFD { setReading(false) }
      guard count > VirtioHeader.size else { break }
      let header = VirtioHeader(UnsafeRawBufferPointer(rebasing: bounce[0..<VirtioHeader.size]))
      let pieces = ScatterList(UnsafeMutableRawBufferPointer(rebasing: bounce[VirtioHeader.size..<count]))
      counters.add(.bytesCopied, count)
      guard let frame = header.frame(pieces) else {
        counters.add(.dropsMalformed)
        continue
      }
      hasBurst = true
      if !offer(frame, to: receiver) {
        waiting = frame
        setReading(false)
        break
      }
    }
    if hasBurst { receiver.receivedBurst() }
  }

  /// False when the frame must wait for a buffer.
  private func offer(_ frame: Frame, to receiver: any FrameReceiver) -> Bool {
    let offloads = receiver.acceptedOffloads
    if frame.isAcceptable(to: offloads) { return receiver.receive(frame) != .noBuffer }
    // What was queued before a change of offloads may be too much for the receiver.
    adapter.adapt(frame, to: offloads) { piece in
      if receiver.receive(piece) == .noBuffer { counters.add(.dropsNoReceiveBuffer) }
    }
    return true
  }

  public func receiverReady() {
    guard let receiver, let frame = waiting else { return }
    guard offer(frame, to: receiver) else { return }
    waiting = nil
    receiver.receivedBurst()
    setReading(true)
  }
}
