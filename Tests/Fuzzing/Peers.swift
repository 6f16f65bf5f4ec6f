import Backends
import DeviceSupport
import EventLoop
import GuestMemory

/// Another NIC on the switch. It looks at every byte of every frame, and takes or refuses frames as it is told.
// Unchecked: the fuzzer has one thread.
final class Peer: FrameReceiver, @unchecked Sendable {
  let acceptedOffloads: NetworkOffloads
  let port: SwitchPort
  var delivery = FrameDelivery.accepted
  private(set) var frames = 0
  private(set) var sum: UInt64 = 0

  init(_ port: SwitchPort, accepting offloads: NetworkOffloads) {
    self.port = port
    acceptedOffloads = offloads
    port.connect(self)
  }

  func receive(_ frame: Frame) -> FrameDelivery {
    check(frame.count >= 14 && frame.count <= Frame.maximumSize, "a frame of \(frame.count) bytes")
    check(frame.isAcceptable(to: acceptedOffloads), "a frame with work that the receiver does not accept")
    if let checksum = frame.checksum {
      check(Int(checksum.start) + Int(checksum.offset) + 2 <= frame.count, "a checksum outside its frame")
    }
    // The first and the last byte of each piece: reading all bytes would cost more than the device.
    for piece in frame.pieces.pieces {
      let bytes = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
      sum &+= UInt64(bytes[0]) &+ UInt64(bytes[bytes.count - 1])
    }
    frames += 1
    return delivery
  }

  func receivedBurst() {}
}

/// The switch of a NIC under test with two other ports: one whose NIC accepts no offloads, and one that accepts all.
final class Network {
  let port: SwitchPort
  let plain: Peer
  let offloading: Peer
  private let networkSwitch: NetworkSwitch
  private var buffer: [UInt8] = []

  init(_ loop: EventLoop) {
    networkSwitch = NetworkSwitch(loop: loop)
    port = networkSwitch.makePort(name: "nic")
    plain = Peer(networkSwitch.makePort(name: "plain"), accepting: [])
    offloading = Peer(networkSwitch.makePort(name: "offloading"), accepting: [.checksum, .tso4, .tso6])
  }

  func disconnect() { for peer in [plain, offloading] { peer.port.connect(nil) } }

  /// Sends a frame from a peer to the NIC, as `operation` describes it.
  func send(_ operation: Operation) {
    buffer = FrameBytes.make(operation)
    let sender = operation.selector & 0x80 == 0 ? plain : offloading
    buffer.withUnsafeMutableBytes { bytes in
      sender.port.send(FrameBytes.describe(Frame(pieces: ScatterList(bytes)), operation))
    }
    sender.port.sentBurst()
  }

  /// Sets whether the peers take frames.
  func setDelivery(_ operation: Operation) {
    let choices = [FrameDelivery.accepted, .noBuffer, .discarded]
    plain.delivery = choices[Int(operation.selector) % 3]
    offloading.delivery = choices[Int(operation.selector) / 3 % 3]
    for peer in [plain, offloading] where peer.delivery == .accepted { peer.port.receiverReady() }
  }
}
