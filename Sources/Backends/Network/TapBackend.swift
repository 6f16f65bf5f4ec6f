import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Threads

/// A snapshot of a tap's link and offloads.
public struct TapState: Sendable, Equatable {
  /// The interface is up and has a carrier, and its bridge, if any, is up.
  public var hasLink = false
  /// The offloads that the kernel leaves to the guest.
  public var offloads: NetworkOffloads = []
}

/// A tap interface of the host, with a vnet header on every frame so that offloads pass through.
///
/// Used on its event loop. If there is no receive buffer, one frame waits here and the others in the tap's own queue.
// Unchecked: only the loop's thread uses its variables once `init` has returned.
public final class TapBackend: NetworkBackend, @unchecked Sendable {
  /// Frames to read before the loop's other handlers run.
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
  /// The receiver's offloads that the kernel was last told.
  private var negotiated: NetworkOffloads?
  private var monitor: LinkMonitor?
  /// The interface was deleted. The descriptor stays in error, so watching it would make the loop spin.
  private var isGone = false

  /// Attaches to the interface `interface`.
  ///
  /// - Parameter isMade: whether to create an interface that does not exist, and set it up. This needs CAP_NET_ADMIN.
  ///   The kernel removes the interface when the process ends.
  public init(interface: String, isMade: Bool = false, loop: EventLoop, counters: Counters) throws(Failure) {
    self.interface = interface
    self.loop = loop
    self.counters = counters
    adapter = FrameAdapter(counters: counters)
    let opened = try Self.open(interface, isMade: isMade)
    descriptor = opened.descriptor
    try prepare(index: opened.index)
  }

  /// Uses a queue of a tap that another program opened, and closes it at the end.
  ///
  /// - Parameter inherited: the descriptor, as `Self.inherit` found it.
  public init(_ inherited: Inherited, loop: EventLoop, counters: Counters) throws(Failure) {
    interface = inherited.interface
    descriptor = inherited.descriptor
    self.loop = loop
    self.counters = counters
    adapter = FrameAdapter(counters: counters)
    try prepare(index: inherited.index)
  }

  /// - Parameter index: the interface whose link to watch; nil if it is in another network namespace.
  private func prepare(index: Int32?) throws(Failure) {
    negotiate([])
    guard let index else { return }
    monitor = try LinkMonitor(index: index, loop: loop) { [weak self] in self?.linkChanged(isUp: $0) }
  }

  deinit {
    close(descriptor)
    bounce.deallocate()
    header.deallocate()
  }

  /// Tells the kernel the receiver's offloads, if they have changed.
  private func negotiate(_ offloads: NetworkOffloads) {
    guard offloads != negotiated else { return }
    var flags: UInt32 = 0
    if offloads.contains(.checksum) {
      flags |= UInt32(CLINUX_TUN_F_CSUM)
      if offloads.contains(.tso4) { flags |= UInt32(CLINUX_TUN_F_TSO4) }
      if offloads.contains(.tso6) { flags |= UInt32(CLINUX_TUN_F_TSO6) }
    }
    // If the kernel refuses, it keeps the old offloads, and the adapter does the rest.
    if clinux_tap_set_offload(descriptor, flags) >= 0 { negotiated = offloads }
  }

  /// The current link and offloads.
  public var state: TapState {
    let state = Guarded(.leaf, TapState())
    loop.sync {
      state.withLock {
        $0 = TapState(hasLink: self.hasLink, offloads: self.negotiated ?? [])
      }
    }
    return state.withLock { $0 }
  }

  public func connect(_ receiver: (any FrameReceiver)?) {
    loop.sync {
      self.receiver = receiver
      self.waiting = nil
      self.setReading(receiver != nil)
      receiver?.setLink(up: self.hasLink)
    }
  }

  /// Without a monitor the interface is out of sight, in another network namespace, and the link counts as up.
  private var hasLink: Bool { monitor?.hasLink ?? !isGone }

  private func linkChanged(isUp: Bool) {
    counters.add(.linkChanges)
    receiver?.setLink(up: isUp)
  }

  private func setReading(_ wanted: Bool) {
    if wanted, watch == nil, !isGone {
      watch = try? loop.watch(descriptor) { [weak self] in self?.readFrames() }
    } else if !wanted, let key = watch {
      loop.remove(key)
      watch = nil
    }
  }

  // MARK: To the host

  public func send(_ sent: Frame) {
    loop.assertOnLoop()
    // Without this check the kernel would trust the guest's description, and make any number of segments.
    guard let frame = adapter.verified(sent) else { return counters.add(.dropsMalformed) }
    VirtioHeader(frame).store(to: header)
    vector.removeAll(keepingCapacity: true)
    vector.append(iovec(iov_base: header.baseAddress, iov_len: header.count))
    if frame.pieces.pieces.count < Self.mostPieces {
      vector.append(contentsOf: frame.pieces.pieces)
      write()
      return
    }
    // A guest may scatter a frame over more pieces than writev accepts.
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
      // The interface's queue is full, or it is down or deleted.
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
      if count < 0, errno == EBADFD {
        isGone = true
        setReading(false)
        if monitor == nil { linkChanged(isUp: false) }
      }
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

  /// Offers a frame. Returns false if it must wait for a buffer.
  private func offer(_ frame: Frame, to receiver: any FrameReceiver) -> Bool {
    let offloads = receiver.acceptedOffloads
    if frame.isAcceptable(to: offloads) { return receiver.receive(frame) != .noBuffer }
    // A frame that the tap queued before the offloads changed may need an offload that the receiver no longer accepts.
    adapter.adapt(frame, to: offloads) { piece in
      let delivery = receiver.receive(piece)
      if delivery == .noBuffer { counters.add(.dropsNoReceiveBuffer) }
      return delivery == .accepted
    }
    return true
  }

  public func receiverReady() {
    loop.assertOnLoop()
    guard let receiver else { return }
    negotiate(receiver.acceptedOffloads)
    guard let frame = waiting else { return }
    guard offer(frame, to: receiver) else { return }
    waiting = nil
    receiver.receivedBurst()
    setReading(true)
  }
}
