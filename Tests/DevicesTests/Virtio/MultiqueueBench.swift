import Backends
import TestSupport

/// A virtio-net of four pairs whose driver negotiated MQ (bit 22), CTRL_VQ (17) and mergeable buffers (15).
struct MultiqueueBench {
  let net: NetBench
  private static let pairs = 4

  /// With 64 buffers of 1000 bytes on each receive queue, or none.
  init(pairs: UInt8? = nil, isFilled: Bool = true) throws {
    net = try NetBench(queuePairs: Self.pairs)
    net.driver.enableMessages(net.device, count: 10)
    net.driver.start(1 << 22 | 1 << 17 | 1 << 15, queues: 9, size: 64, vectors: Array(1...9))
    if isFilled { for pair in 0..<Self.pairs { for slot in 0..<64 { fill(pair, UInt16(slot)) } } }
    if let pairs { _ = setPairs(pairs) }
  }

  func fill(_ pair: Int, _ slot: UInt16 = 0) { net.addBuffer(slot, length: 1000, pair: pair) }

  /// Sends VIRTIO_NET_CTRL_MQ, VQ_PAIRS_SET, and returns the answer.
  func setPairs(_ count: UInt8) -> UInt8 { net.control(4, 0, [count, 0]) }

  func send(_ packet: FlowPacket, pair: Int) {
    net.transmit(NetBench.plain, packet.sent, pair: pair)
    _ = net.driver.rings[2 * pair + 1].takeUsed()
  }

  /// The pairs that received frames since the last call, one entry per frame.
  func receivingPairs() -> [Int] {
    (0..<Self.pairs).flatMap { pair in
      var taken: [Int] = []
      while net.driver.rings[2 * pair].takeUsed() != nil { taken.append(pair) }
      return taken
    }
  }

  /// Offers the answer of a conversation, and returns the pairs that received it.
  func answer(_ packet: FlowPacket) -> [Int] {
    net.network.offer(packet.received)
    return receivingPairs()
  }
}
