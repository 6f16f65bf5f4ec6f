import Counters
import EventLoop
import GuestMemory

/// A learning Ethernet switch inside the process: VMs and measuring end-points plug in, no privilege needed.
///
/// The switch and every NIC plugged into it live on one event loop, so a frame goes from its sender's memory into the
/// receiver's in one copy, without a queue. Only a receiver without buffers has frames copied and held for it, up to a
/// bound; then they are dropped and counted, and no other port waits.
public final class NetworkSwitch: Sendable {
  /// Addresses one port may teach the switch, so that no guest can fill the table for the others.
  private static let addressesPerPort = 64
  /// A port that is plugged in and has sent anything within this time keeps its addresses, in nanoseconds.
  private static let patience: UInt64 = 60_000_000_000

  private struct State {
    var ports: [SwitchPort] = []
    /// Which port has an address.
    var table: [UInt64: SwitchPort] = [:]
  }

  public let loop: EventLoop
  private let state: LoopBound<State>

  public init(loop: EventLoop) {
    self.loop = loop
    state = LoopBound(loop, State())
  }

  /// A new port, to plug a NIC or an end-point into.
  public func makePort(name: String) -> SwitchPort {
    let port = SwitchPort(name: name, networkSwitch: self)
    loop.sync { self.state.value.ports.append(port) }
    return port
  }

  /// Takes a port away, with what it taught.
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

  /// A port may teach an address that nobody has, or whose port has gone or fallen silent: no guest takes another one's
  /// frames by sending from its address.
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

  /// A burst of `port` has ended.
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
  /// The switch takes everything; it adapts frames for those who cannot.
  public let acceptedOffloads: NetworkOffloads = [.checksum, .tso4, .tso6]
  private weak var networkSwitch: NetworkSwitch?
  fileprivate let adapter: FrameAdapter
  /// Held strongly until it is unplugged: a weak reference would slow down every retain of a device.
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
      // What the receiver takes may have changed since the frame was held; of one that is cut then, what finds no buffer
      // is lost.
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
      // Behind a held frame everything waits its turn.
      if held.isEmpty {
        let delivery = offer(piece, to: receiver)
        // What does not want a segment wants none of those behind it.
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

  /// A burst of refused frames ends too: the receiver may have to report an overrun.
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
