import Counters
import EventLoop
import GuestMemory

/// A learning Ethernet switch inside the process. VMs and measuring endpoints connect to it without privileges.
///
/// The switch and its NICs run on one event loop. A frame goes from the sender's memory to the receiver's in one copy,
/// without a queue. If a receiver has no buffers, the switch holds copies of its frames up to a bound, and then drops
/// and counts them. Other ports never wait.
public final class NetworkSwitch: Sendable {
  /// Addresses that the switch learns from one port. The limit keeps a guest from filling the table.
  private static let addressesPerPort = 64
  /// A connected port that has sent within this time keeps its addresses. In nanoseconds.
  private static let patience: UInt64 = 60_000_000_000

  private struct State {
    var ports: [SwitchPort] = []
    /// The port of each learned address.
    var table: [UInt64: SwitchPort] = [:]
  }

  public let loop: EventLoop
  private let state: LoopBound<State>

  public init(loop: EventLoop) {
    self.loop = loop
    state = LoopBound(loop, State())
  }

  /// Creates a port for a NIC or an endpoint.
  public func makePort(name: String) -> SwitchPort {
    let port = SwitchPort(name: name, networkSwitch: self)
    loop.sync { self.state.value.ports.append(port) }
    return port
  }

  /// Removes a port and the addresses learned from it.
  public func remove(_ port: SwitchPort) {
    loop.sync {
      port.unplug()
      self.state.value.ports.removeAll { $0 === port }
      self.state.value.table = self.state.value.table.filter { $0.value !== port }
    }
  }

  // MARK: Forwarding, on the loop's thread

  func forward(_ sent: Frame, from source: SwitchPort) {
    guard sent.count >= 14, sent.count <= Frame.maximumSize, let frame = source.adapter.verified(sent) else {
      return source.counters.add(.dropsMalformed)
    }
    var addresses: (UInt64, UInt64) = (0, 0)
    withUnsafeMutableBytes(of: &addresses) {
      _ = frame.pieces.copyOut(into: UnsafeMutableRawBufferPointer(rebasing: $0[0..<12]))
    }
    let destination = addresses.0 & 0xFFFF_FFFF_FFFF
    learn(addresses.0 >> 48 | (addresses.1 & 0xFFFF_FFFF) << 16, at: source)
    // Bit 0 of the first byte: a group address.
    if destination & 1 == 0, let port = state.value.table[destination] {
      if port !== source { port.deliver(frame) }
      return
    }
    for port in state.value.ports where port !== source { port.deliver(frame) }
  }

  /// Learns `address` unless another live port owns it, so that no guest can take over another guest's frames by
  /// sending from its address.
  private func learn(_ address: UInt64, at port: SwitchPort) {
    guard address & 1 == 0 else { return }
    let known = state.value.table[address]
    guard known !== port, port.learnedCount < Self.addressesPerPort, known.map(isAlive) != true else { return }
    known?.learnedCount -= 1
    state.value.table[address] = port
    port.learnedCount += 1
  }

  private func isAlive(_ port: SwitchPort) -> Bool {
    port.isPluggedIn && loop.clock.now &- port.lastBurst < Self.patience
  }

  /// Ends a burst of `port`: every receiver that got frames may interrupt.
  func burstEnded(at port: SwitchPort) {
    port.lastBurst = loop.clock.now
    for port in state.value.ports { port.reportBurst() }
  }
}

/// One port of a switch: the backend of a NIC.
// Unchecked: only the loop's thread uses its variables.
public final class SwitchPort: NetworkBackend, @unchecked Sendable {
  public let kind = "switch"
  public let name: String
  public let counters: Counters
  /// The switch accepts all offloads, and adapts frames for receivers that do not.
  public let acceptedOffloads: NetworkOffloads = [.checksum, .tso4, .tso6]
  private weak var networkSwitch: NetworkSwitch?
  fileprivate let adapter: FrameAdapter
  /// Held strongly until it is disconnected: a weak reference would slow down every retain of a device.
  private var receiver: (any FrameReceiver)?
  private var held = HeldFrames()
  private var hasBurst = false
  fileprivate(set) var learnedCount = 0
  /// When its NIC last ended a burst, by the loop's clock.
  fileprivate var lastBurst: UInt64 = 0
  fileprivate var isPluggedIn: Bool { receiver != nil }

  init(name: String, networkSwitch: NetworkSwitch) {
    self.name = name
    self.networkSwitch = networkSwitch
    counters = Counters(owner: name)
    adapter = FrameAdapter(counters: counters)
  }

  deinit { held.removeAll() }

  public func connect(_ receiver: (any FrameReceiver)?) {
    networkSwitch?.loop.sync {
      self.receiver = receiver
      if receiver == nil { self.held.removeAll() }
    }
  }

  fileprivate func unplug() {
    receiver = nil
    networkSwitch = nil
    held.removeAll()
    learnedCount = 0
  }

  public func send(_ frame: Frame) { networkSwitch?.forward(frame, from: self) }

  public func sentBurst() { networkSwitch?.burstEnded(at: self) }

  public func receiverReady() {
    guard let receiver else { return }
    while let frame = held.first {
      // The receiver's offloads may have changed since the frame was held. If the frame must be segmented now, segments
      // without a buffer are dropped.
      let isWhole = frame.isAcceptable(to: receiver.acceptedOffloads)
      var isRefused = false
      adapter.adapt(frame, to: receiver.acceptedOffloads) { piece in
        isRefused = offer(piece, to: receiver) == .noBuffer
        return !isRefused
      }
      if isRefused, isWhole { break }
      if isRefused { counters.add(.dropsNoReceiveBuffer) }
      held.removeFirst()
    }
    reportBurst()
  }

  fileprivate func deliver(_ frame: Frame) {
    guard let receiver else { return }
    adapter.adapt(frame, to: receiver.acceptedOffloads) { piece in
      // While frames are held, later ones queue behind them, to keep the order.
      if held.isEmpty {
        let delivery = offer(piece, to: receiver)
        // If the receiver refuses one segment, skip the rest.
        if delivery != .noBuffer { return delivery == .accepted }
      }
      guard held.append(piece) else {
        counters.add(.dropsPortQueueFull)
        return false
      }
      counters.add(.bytesCopied, piece.count)
      return true
    }
  }

  /// Offers a frame. A refused frame also counts as a burst, because the receiver may have to report an overrun.
  private func offer(_ frame: Frame, to receiver: any FrameReceiver) -> FrameDelivery {
    hasBurst = true
    return receiver.receive(frame)
  }

  fileprivate func reportBurst() {
    guard hasBurst else { return }
    hasBurst = false
    receiver?.receivedBurst()
  }
}
