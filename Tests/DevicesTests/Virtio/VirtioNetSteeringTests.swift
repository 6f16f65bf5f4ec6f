import Backends
import Devices
import TestSupport
import Testing

@Suite("virtio-net automatic receive steering (VIRTIO 1.2, 5.1.6.5.5)")
struct VirtioNetSteeringTests {
  @Test("answers arrive on the pair on which the driver last sent", arguments: FlowPacket.Kind.allCases)
  func follows(kind: FlowPacket.Kind) throws {
    let multi = try MultiqueueBench(pairs: 4)
    for pair in [2, 0, 3, 1] {
      multi.send(FlowPacket(kind: kind, peer: 0x0102, number: UInt8(pair)), pair: pair)
      #expect(multi.answer(FlowPacket(kind: kind, peer: 0x0102, number: 0x77)) == [pair])
    }
  }

  @Test("a flow that the driver never sent on stays on one pair, and flows spread over all", arguments: [2, 3, 4])
  func unknown(count: Int) throws {
    let multi = try MultiqueueBench(pairs: UInt8(count))
    var used = Set<Int>()
    for peer in 1...20 as ClosedRange<UInt16> {
      let pairs = (0...2).flatMap { multi.answer(FlowPacket(kind: .udp4, peer: peer, number: $0)) }
      #expect(pairs.count == 3)
      #expect(Set(pairs).count == 1)
      used.formUnion(pairs)
    }
    #expect(used == Set(0..<count))
  }

  @Test("frames go only to enabled pairs, whatever the table has learned")
  func fewerPairs() throws {
    let multi = try MultiqueueBench(pairs: 4)
    for peer in 1...20 as ClosedRange<UInt16> { multi.send(FlowPacket(peer: peer), pair: 3) }
    #expect(multi.setPairs(2) == 0)
    let pairs = (1...20).flatMap { multi.answer(FlowPacket(peer: $0)) }
    #expect(pairs.count == 20)
    #expect(Set(pairs) == [0, 1])
    // The driver still drains pair 3, which teaches nothing now.
    multi.send(FlowPacket(peer: 1), pair: 3)
    #expect(multi.net.network.sent.count == 21)
    #expect(multi.setPairs(1) == 0)
    #expect((1...20).flatMap { multi.answer(FlowPacket(peer: $0)) } == Array(repeating: 0, count: 20))
  }

  @Test("frames for a pair without buffers wait; a kick of that pair delivers them in order")
  func dryPair() throws {
    let multi = try MultiqueueBench(pairs: 4, isFilled: false)
    for slot in 0..<8 as Range<UInt16> { multi.fill(1, slot) }
    multi.send(FlowPacket(peer: 1), pair: 2)
    multi.send(FlowPacket(peer: 2), pair: 1)
    let net = multi.net
    for number in 0..<3 as Range<UInt8> {
      #expect(net.network.offer(FlowPacket(peer: 1, number: number).received) == .noBuffer)
    }
    #expect(multi.answer(FlowPacket(peer: 2)) == [1])
    #expect(net.driver.rings[4].usedFlags == 0, "the pair without buffers has kicks enabled")
    // A kick of another pair does not deliver them there.
    net.driver.rings[2].kick()
    #expect(net.network.waitingCount == 3)
    for slot in 0..<3 as Range<UInt16> { multi.fill(2, slot) }
    net.driver.rings[4].kick()
    #expect(net.network.waitingCount == 0)
    #expect(multi.receivingPairs() == [2, 2, 2])
    #expect((0..<3).map { net.buffer($0, 12 + 91, pair: 2)[102] } == [0, 1, 2])
    #expect(net.messages.signalled.last == 5)
  }

  @Test("frames that wait for a pair that the driver removes go to a remaining one")
  func pairTakenAway() throws {
    let multi = try MultiqueueBench(pairs: 4, isFilled: false)
    for slot in 0..<4 as Range<UInt16> { multi.fill(0, slot) }
    multi.send(FlowPacket(peer: 1), pair: 3)
    for number in 0..<2 as Range<UInt8> {
      #expect(multi.net.network.offer(FlowPacket(peer: 1, number: number).received) == .noBuffer)
    }
    #expect(multi.setPairs(1) == 0)
    #expect(multi.net.network.waitingCount == 0)
    #expect(multi.receivingPairs() == [0, 0])
    #expect((0..<2).map { multi.net.buffer($0, 103)[102] } == [0, 1])
  }

  @Test("the table is bounded: new flows do not displace one that was sent on in the last three seconds")
  func bounded() throws {
    let multi = try MultiqueueBench(pairs: 4)
    let flows = 1...16 as ClosedRange<UInt16>
    for peer in flows { multi.send(FlowPacket(peer: peer), pair: 1) }
    func flood() { for peer in 1000..<9000 as Range<UInt16> { multi.send(FlowPacket(peer: peer), pair: 3) } }
    multi.net.bench.advance(by: 2_999_999_999)
    flood()
    #expect(flows.flatMap { multi.answer(FlowPacket(peer: $0)) } == Array(repeating: 1, count: 16))
    multi.net.bench.advance(by: 1)
    flood()
    let pairs = flows.flatMap { multi.answer(FlowPacket(peer: $0)) }
    #expect(pairs.count == 16)
    #expect(Set(pairs) == [0, 1, 2, 3], "now steered by flow number")
  }

  @Test("random pair counts, sends, buffers and kicks: no frame is lost, and a flow stays in order on a pair")
  func random() throws {
    let multi = try MultiqueueBench(pairs: 4, isFilled: false)
    let net = multi.net
    var random = SystemRandomNumberGenerator()
    var nextNumber = [UInt8](repeating: 0, count: 8)
    /// The last number received, by pair and flow.
    var last = [Int](repeating: -1, count: 32)
    var slots = [UInt16](repeating: 0, count: 4)
    var taken = [UInt16](repeating: 0, count: 4)
    var offered = 0
    var received = 0
    for _ in 0..<2000 {
      let pair = Int.random(in: 0..<4, using: &random)
      let flow = Int.random(in: 0..<8, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0: _ = net.control(4, 0, [UInt8.random(in: 0...6, using: &random), 0])
      case 1: multi.send(FlowPacket(peer: UInt16(flow)), pair: pair)
      case 2, 3:
        guard slots[pair] &- taken[pair] < 64 else { break }
        multi.fill(pair, slots[pair] % 64)
        slots[pair] += 1
        net.driver.rings[2 * pair].kick()
      default:
        // In the bench's network, unlike at a switch port, a new frame may overtake waiting ones.
        guard net.network.waitingCount == 0, nextNumber[flow] < 255 else { break }
        net.network.offer(FlowPacket(peer: UInt16(flow), number: nextNumber[flow]).received)
        nextNumber[flow] += 1
        offered += 1
      }
      for pair in 0..<4 {
        while let used = net.driver.rings[2 * pair].takeUsed() {
          taken[pair] += 1
          received += 1
          let bytes = net.buffer(UInt16(used.head), 103, pair: pair)
          let index = pair * 8 + Int(bytes[12 + 35])
          #expect(Int(bytes[102]) > last[index])
          last[index] = Int(bytes[102])
        }
      }
    }
    #expect(received + net.network.waitingCount == offered)
    #expect(!net.driver.needsReset)
  }
}
