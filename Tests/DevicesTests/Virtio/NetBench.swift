import Backends
import Devices
import TestSupport

/// A driver of one virtio-net device with a recording backend. Queue 0 receives, 1 transmits, 2 controls. With
/// `queuePairs` and MQ, bit 22, the control queue is behind all pairs.
struct NetBench {
  let bench: DeviceBench
  let network: RecordedNetwork
  let device: VirtioNet
  let driver: VirtioDriver
  let messages = RecordedMessages()

  static let checksum: UInt64 = 1 << 0
  static let guestChecksum: UInt64 = 1 << 1
  static let guestTSO4: UInt64 = 1 << 7
  static let guestTSO6: UInt64 = 1 << 8
  static let hostTSO4: UInt64 = 1 << 11
  static let mergeable: UInt64 = 1 << 15

  /// Buffers of the transmit, receive and control queues.
  static let transmitData: UInt64 = 0x40_0000
  static let receiveData: UInt64 = 0x50_0000
  static let controlData: UInt64 = 0x90_0000

  init(
    offloads: NetworkOffloads = [.checksum, .tso4, .tso6], offersOffloads: Bool = true, queuePairs: Int = 1
  ) throws {
    bench = try DeviceBench()
    network = RecordedNetwork(acceptedOffloads: offloads)
    device = try VirtioNet(
      name: "nic", macAddress: [0x52, 0x54, 0, 1, 2, 3], mtu: 1400, queuePairs: queuePairs,
      backend: network, offersOffloads: offersOffloads, memory: bench.memory, loop: bench.loop, counters: bench.counters
    )
    bench.plug(device)
    device.messages?.connect(messages)
    driver = VirtioDriver(bench)
  }

  static func started(_ features: UInt64 = 0, size: UInt16 = 16) throws -> NetBench {
    let net = try NetBench()
    net.driver.start(features, queues: 3, size: size)
    return net
  }

  var receiveRing: SplitRingDriver { driver.rings[0] }
  var transmitRing: SplitRingDriver { driver.rings[1] }
  var controlRing: SplitRingDriver { driver.rings[driver.rings.count - 1] }

  /// Sends header and frame in buffers split at `cuts`, and kicks.
  func transmit(_ header: [UInt8], _ frame: [UInt8], cuts: [Int] = [12], pair: Int = 0) {
    let transmitRing = driver.rings[2 * pair + 1]
    let bytes = header + frame
    bench.store(bytes, at: Self.transmitData)
    var buffers: [SplitRingDriver.Buffer] = []
    var start = 0
    for end in cuts.filter({ $0 < bytes.count }) + [bytes.count] {
      buffers.append((Self.transmitData + UInt64(start), UInt32(end - start), false))
      start = end
    }
    transmitRing.add(buffers)
    transmitRing.kick()
  }

  private static func bufferAddress(_ slot: UInt16, pair: Int) -> UInt64 {
    receiveData + UInt64(slot) * 0x2000 + UInt64(pair) * 0x8_0000
  }

  /// Gives the device receive buffer `slot` of `length` bytes. With several pairs, `slot` is below 64.
  func addBuffer(_ slot: UInt16, length: UInt32, pair: Int = 0) {
    let address = Self.bufferAddress(slot, pair: pair)
    bench.store([UInt8](repeating: 0xEE, count: Int(length)), at: address)
    driver.rings[2 * pair].add([(address, length, true)], head: slot)
  }

  func buffer(_ slot: UInt16, _ count: Int, pair: Int = 0) -> [UInt8] {
    bench.bytes(at: Self.bufferAddress(slot, pair: pair), count: count)
  }

  /// Runs a command of the control queue and returns its answer, or 0xEE without one.
  func control(_ kind: UInt8, _ command: UInt8, _ data: [UInt8]) -> UInt8 {
    bench.store([kind, command] + data, at: Self.controlData)
    bench.store([0xEE], at: Self.controlData + 0x4_0000)
    controlRing.add([(Self.controlData, UInt32(2 + data.count), false), (Self.controlData + 0x4_0000, 1, true)])
    controlRing.kick()
    _ = controlRing.takeUsed()
    return bench.bytes(at: Self.controlData + 0x4_0000, count: 1)[0]
  }

  /// An Ethernet frame of `count` bytes to `destination`, filled with a pattern.
  static func frame(_ count: Int, to destination: [UInt8] = [0x52, 0x54, 0, 1, 2, 3], type: [UInt8] = [0x08, 0x00])
    -> [UInt8]
  {
    let head = destination + [2, 0, 0, 0, 0, 9] + type
    return head + (head.count..<max(count, head.count)).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) }
  }

  static let plain = [UInt8](repeating: 0, count: 12)
}
