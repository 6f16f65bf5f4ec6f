/// Scripts for frames that the 82540EM sends and receives (SDM 3).
///
/// Rings are at 0x10000 (receive) and 0x20000 (transmit), buffers at 0x400000 and 0x100000. Loopback is the PHY's.
enum NICTrafficScripts {
  static let all: [Script] =
    [
      legacy, nullDescriptors, extended, vlan, tagOctets, ringWrap, sendWithoutLoopback, segmentation, udpSegmentation,
      segmentationWithoutOptions,
      segmentationLoops,
    ]
    + [filters, loopbackReceive, multicast, sizes, receiveRing, longFrames, statistics, causes]

  private static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    NICScripts.script(name, body)
  }

  static let receiveRingSize = 8

  /// Starts both units. By default, the PHY loops frames back.
  static func start(
    _ script: inout Script, loops: Bool = true, control: UInt32 = 0x0400_8002, receiveCount: Int = receiveRingSize,
    transmitCount: UInt32 = 8
  ) {
    for index in 0..<receiveCount {
      script.store(0x1_0000 + 16 * UInt64(index), NICPacket.receive(receiveBuffer(index)))
    }
    if loops { NICScripts.write(&script, 0x20, 0x0420_4140) }
    for (register, value) in [
      (0x2800, 0x1_0000), (0x2804, 0), (0x2808, UInt32(receiveCount) * 16), (0x2810, 0),
      (0x2818, UInt32(receiveCount) - 1),
      (0x3800, 0x2_0000), (0x3804, 0), (0x3808, transmitCount * 16), (0x3810, 0), (0x3818, 0), (0x00D0, 0xFFFF),
      (0x0100, control), (0x0400, 0x0004_000A),
    ] as [(UInt64, UInt32)] { NICScripts.write(&script, register, value) }
    script.settle()
    NICScripts.read(&script, 0xC0, mask: 0xFFFF_FFFB, .nicQueueEmpty, bits: 0x02)
  }

  static func receiveBuffer(_ index: Int) -> UInt64 { 0x40_0000 + 0x4000 * UInt64(index) }
  static func buffer(_ index: Int) -> UInt64 { 0x10_0000 + 0x4000 * UInt64(index) }

  /// Stores descriptors from `first` on and moves the tail behind them.
  static func send(_ script: inout Script, _ descriptors: [[UInt8]], from first: Int = 0, ring: Int = 8) {
    for (index, descriptor) in descriptors.enumerated() {
      script.store(0x2_0000 + 16 * UInt64((first + index) % ring), descriptor)
    }
    NICScripts.write(&script, 0x3818, UInt32((first + descriptors.count) % ring))
    script.settle()
  }

  /// The places where `look` finds a known difference.
  struct Known {
    var difference: KnownDifference
    var level = false
    var causes: UInt64 = 0
    var registers: Set<UInt64> = []
    var descriptors: Set<Int> = []
    var buffers: Set<Int> = []
    var frames = false
  }

  /// Reads the state after frames: write-backs, buffers, heads, causes and the pin.
  static func look(_ script: inout Script, received: Int = 1, bytes: Int = 128, _ known: Known? = nil) {
    func tolerated(_ applies: Bool?) -> KnownDifference? { applies == true ? known?.difference : nil }
    script.level(11, tolerated(known?.level))
    NICScripts.read(&script, 0xC0, tolerated(known.map { $0.causes != 0 }), bits: known?.causes ?? 0)
    script.settle()
    script.level(11)
    for register in [0x2810, 0x2818, 0x3810, 0x3818] as [UInt64] {
      NICScripts.read(&script, register, tolerated(known?.registers.contains(register)))
    }
    for index in 0..<8 as Range<UInt64> { script.load(0x2_0000 + 16 * index, count: 16) }
    for index in 0..<received {
      script.load(0x1_0000 + 16 * UInt64(index), count: 16, tolerated(known?.descriptors.contains(index)))
      script.load(receiveBuffer(index), count: bytes, tolerated(known?.buffers.contains(index)))
    }
    script.sent(tolerated(known?.frames))
  }

  static let legacy = script("3.3.3, legacy descriptors") { script in
    start(&script)
    let frame = NICPacket.ethernet()
    script.store(buffer(0), frame)
    send(&script, [NICPacket.legacy(buffer(0), 100)])
    look(&script)
    // Two descriptors for one frame, the first without EOP, and one without RS.
    script.store(buffer(1), frame)
    send(
      &script, [NICPacket.legacy(buffer(1), 60, command: 0x08), NICPacket.legacy(buffer(1) + 60, 40, command: 0x03)],
      from: 1)
    look(&script, received: 2)
    // A checksum from byte 14 on.
    script.store(buffer(3), NICPacket.ipv4(payload: 33))
    send(&script, [NICPacket.legacy(buffer(3), 87, command: 0x0F, css: 34, cso: 50)], from: 3)
    look(&script, received: 3, Known(difference: .nicLegacyChecksum, buffers: [2]))
  }

  static let nullDescriptors = script("3.3.3, null descriptors") { script in
    start(&script)
    let frame = NICPacket.ethernet()
    script.store(buffer(0), frame)
    send(
      &script,
      [
        NICPacket.legacy(0, 0, command: 0x08), NICPacket.legacy(buffer(0), 100), NICPacket.legacy(0, 0, command: 0x09),
        NICPacket.legacy(buffer(0), 0, command: 0x08), NICPacket.legacy(buffer(0), 100),
      ])
    look(&script, received: 3)
  }

  static let extended = script("3.3.6 and 3.3.7, contexts and data descriptors") { script in
    start(&script)
    for (index, isUDP) in [false, true].enumerated() {
      let frame = NICPacket.ipv4(isUDP: isUDP, payload: 45)
      script.store(buffer(index), frame)
      send(
        &script,
        [
          NICPacket.context(command: isUDP ? 0x02 : 0x03, isUDP: isUDP),
          NICPacket.data(buffer(index), frame.count, options: 0x03),
        ], from: 2 * index)
      look(&script, received: index + 1)
    }
  }

  static let vlan = script("9.2, VLAN tags are inserted and stripped") { script in
    NICScripts.write(&script, 0x00, 0x4000_0241)
    start(&script)
    script.store(buffer(0), NICPacket.ethernet())
    send(&script, [NICPacket.legacy(buffer(0), 100, command: 0x4B, special: 0x6123)])
    look(&script)
    script.store(buffer(1), NICPacket.tagged(0x0456, NICPacket.ethernet()))
    send(&script, [NICPacket.legacy(buffer(1), 104)], from: 1)
    look(&script, received: 2)
    // VFE admits only the VLANs of the table.
    NICScripts.write(&script, 0x5600 + 4 * 0x22, 1 << 0x16)
    NICScripts.write(&script, 0x0100, 0x0404_8002)
    script.settle()
    send(&script, [NICPacket.legacy(buffer(1), 104), NICPacket.legacy(buffer(0), 100)], from: 2)
    look(&script, received: 4)
  }

  static let tagOctets = script("13.7, octets of a frame whose tag the device inserts") { script in
    NICScripts.write(&script, 0x00, 0x4000_0241)
    start(&script, loops: false)
    script.store(buffer(0), NICPacket.ethernet())
    send(&script, [NICPacket.legacy(buffer(0), 100, command: 0x4B, special: 0x0123)])
    look(&script, received: 0)
    NICScripts.read(&script, 0x40C8, .nicTagOctets)
  }

  static let ringWrap = script("3.4, rings wrap") { script in
    start(&script)
    for round in 0..<4 {
      let frames = (0..<5).map { NICPacket.ethernet(count: 70 + 10 * $0 + round) }
      for (index, frame) in frames.enumerated() { script.store(buffer(index), frame) }
      send(
        &script, frames.enumerated().map { NICPacket.legacy(buffer($0.offset), $0.element.count) }, from: 5 * round % 8)
      look(&script, received: 8)
      NICScripts.write(&script, 0x2818, UInt32((5 * (round + 1) + 7) % 8))
    }
  }

  static let sendWithoutLoopback = script("3.3, frames for the wire, padded to 60 bytes") { script in
    start(&script, loops: false)
    for (index, count) in [14, 33, 60, 61, 1514].enumerated() {
      script.store(buffer(index), NICPacket.ethernet(count: count))
      send(&script, [NICPacket.legacy(buffer(index), count)], from: index)
      look(&script, received: 0, count < 60 ? Known(difference: .nicShortFrames, frames: true) : nil)
    }
  }

  // MARK: TCP segmentation

  private static func segments(
    _ script: inout Script, _ payload: Int, mss: Int, isUDP: Bool = false, split: Bool = false, options: UInt64 = 0x03
  ) {
    let frame = NICPacket.ipv4(isUDP: isUDP, payload: payload, withLength: false)
    let header = isUDP ? 42 : 54
    script.store(buffer(0), frame)
    let command: UInt64 = isUDP ? 0x06 : 0x07
    let context = NICPacket.context(command: command, isUDP: isUDP, payload: payload, header: header, mss: mss)
    let pieces =
      split
      ? [
        NICPacket.data(buffer(0), header, command: 0x04, options: options),
        NICPacket.data(buffer(0) + UInt64(header), payload, command: 0x0D, options: options),
      ] : [NICPacket.data(buffer(0), frame.count, command: 0x0D, options: options)]
    send(&script, [context] + pieces)
  }

  static let segmentation = script("3.5, TCP segmentation for the wire") { script in
    for (payload, mss, split) in [(3000, 1460, true), (2920, 1460, true), (100, 1460, true), (700, 200, false)] {
      start(&script, loops: false)
      segments(&script, payload, mss: mss, split: split)
      let isExact = payload % mss == 0
      look(&script, received: 0, isExact ? Known(difference: .nicEmptySegment, frames: true) : nil)
      NICScripts.write(&script, 0x0400, 0)
    }
    for register in [0x40D4, 0x4080, 0x40C8] as [UInt64] { NICScripts.read(&script, register, .nicEmptySegment) }
    for register in [0x40F8, 0x40FC] as [UInt64] { NICScripts.read(&script, register) }
  }

  static let udpSegmentation = script("3.5, segmentation of UDP for the wire") { script in
    start(&script, loops: false)
    segments(&script, 1500, mss: 1000, isUDP: true, split: true)
    look(&script, received: 0, Known(difference: .nicUDPSegmentation, frames: true))
  }

  static let segmentationWithoutOptions = script("3.3.7.3, TCP segmentation without IXSM and TXSM") { script in
    start(&script, loops: false)
    segments(&script, 1500, mss: 1000, split: true, options: 0)
    look(&script, received: 0, Known(difference: .nicUnaskedChecksums, frames: true))
  }

  static let segmentationLoops = script("3.5, TCP segmentation in loopback") { script in
    start(&script)
    segments(&script, 2500, mss: 1000, split: true)
    look(&script, received: 3, bytes: 1200)
  }

  // MARK: Receive

  static let filters = script("3.2.1, unicast, broadcast and promiscuous") { script in
    let other: [UInt8] = [0x52, 0x54, 0, 0x12, 0x34, 0x57]
    let broadcast = [UInt8](repeating: 0xFF, count: 6)
    // For each control, the descriptors of frames that an inexact filter (such as UPE or MPE) admitted.
    for (control, inexact) in [
      (0x0400_0002, []), (0x0400_8002, []), (0x0400_000A, [1]), (0x0400_0012, [1, 2]), (0x0400_001A, [1, 2, 3]),
    ] as [(UInt32, Set<Int>)] {
      start(&script, loops: false, control: control)
      for destination in [NICPacket.own, other, broadcast, [0x01, 0, 0x5E, 0, 0, 1]] {
        script.receive(NICPacket.ethernet(to: destination))
      }
      look(&script, received: 4, inexact.isEmpty ? nil : Known(difference: .nicInexactFilter, descriptors: inexact))
    }
    for register in [0x40C0, 0x40D0] as [UInt64] { NICScripts.read(&script, register, .nicTotalPackets) }
    // A second exact address.
    NICScripts.write(&script, 0x5408, 0x1200_5452)
    NICScripts.write(&script, 0x540C, 0x8000_5734)
    start(&script, loops: false, control: 0x0400_0002)
    script.receive(NICPacket.ethernet(to: other))
    look(&script)
  }

  static let loopbackReceive = script("13.4.22, a frame from the wire while the PHY loops back") { script in
    start(&script)
    script.receive(NICPacket.ethernet())
    look(
      &script,
      Known(
        difference: .nicLoopbackReceive, level: true, causes: 0x80, registers: [0x2810], descriptors: [0], buffers: [0])
    )
  }

  static let multicast = script("13.5.1, the multicast table at each offset") { script in
    let group: [UInt8] = [0x01, 0x00, 0x5E, 0x7A, 0x3C, 0x96]
    let hash = UInt32(group[5]) << 8 | UInt32(group[4])
    for (offset, shift) in [4, 3, 2, 0].enumerated() {
      let index = hash >> UInt32(shift) & 0xFFF
      for register in 0..<128 as Range<UInt64> where register == UInt64(index >> 5) || offset == 0 && register < 2 {
        NICScripts.write(&script, 0x5200 + 4 * register, register == UInt64(index >> 5) ? 1 << (index & 31) : 0)
      }
      start(&script, loops: false, control: 0x0400_0002 | UInt32(offset) << 12)
      script.receive(NICPacket.ethernet(to: group))
      script.receive(NICPacket.ethernet(to: Array(group[0..<5]) + [0x97]))
      look(&script, received: 2, Known(difference: .nicInexactFilter, descriptors: [0]))
      NICScripts.write(&script, 0x5200 + 4 * UInt64(index >> 5), 0)
    }
  }

  static let sizes = script("3.2.2 and 13.4.22, buffer sizes and several descriptors for a frame") { script in
    for control in [0x0401_8002, 0x0402_8002, 0x0403_8002, 0x0403_8022, 0x0002_8002] as [UInt32] {
      start(&script, loops: false, control: control)
      for count in [60, 256, 257, 1000] { script.receive(NICPacket.ethernet(count: count)) }
      look(&script, received: 8, bytes: 1100)
    }
  }

  static let receiveRing = script("3.2.6, the ring has no descriptors left") { script in
    start(&script, loops: false)
    NICScripts.write(&script, 0x2818, 2)
    for _ in 0..<2 { script.receive(NICPacket.ethernet()) }
    look(&script, received: 3, Known(difference: .nicDescriptorsLow, causes: 0x10))
    NICScripts.write(&script, 0x2818, 6)
    script.settle()
    for _ in 0..<2 { script.receive(NICPacket.ethernet(count: 90)) }
    look(&script, received: 6, Known(difference: .nicDescriptorsLow, causes: 0x10))
  }

  static let longFrames = script("13.4.22, LPE") { script in
    for control in [0x0400_8002, 0x0400_8022] as [UInt32] {
      start(&script, loops: false, control: control)
      for count in [1514, 1518, 1519, 1522, 1523, 2000] { script.receive(NICPacket.ethernet(count: count)) }
      let known = Known(
        difference: .nicLongFrames, causes: 0x10, registers: [0x2810], descriptors: [2, 3], buffers: [2, 3])
      look(&script, received: 7, bytes: 2048, control & 0x20 == 0 ? known : nil)
    }
  }

  static let statistics = script("13.7, statistics of frames sent and received") { script in
    start(&script, loops: false)
    let broadcast = [UInt8](repeating: 0xFF, count: 6)
    for (index, count) in [60, 64, 100, 200, 300, 600, 1200, 1514].enumerated() {
      script.receive(NICPacket.ethernet(count: count))
      NICScripts.write(&script, 0x2818, UInt32(index) % 8)
    }
    for (index, destination) in [NICPacket.own, broadcast, [0x01, 0, 0x5E, 0, 0, 1]].enumerated() {
      script.store(buffer(index), NICPacket.ethernet(to: destination, count: 70 + 200 * index))
      send(&script, [NICPacket.legacy(buffer(index), 70 + 200 * index)], from: index)
    }
    for register in stride(from: 0x4000, through: 0x4124, by: 4) as StrideThrough<UInt64> {
      NICScripts.read(&script, register, register == 0x4060 ? .nicReceiveSizes : nil)
    }
    for register in stride(from: 0x4000, through: 0x4124, by: 4) as StrideThrough<UInt64> {
      NICScripts.read(&script, register)
    }
  }

  static let causes = script("3.2.7 and 3.4.3, causes of traffic") { script in
    // RDMTS: an interrupt at half a ring.
    start(&script, loops: false)
    for count in 1...5 {
      script.receive(NICPacket.ethernet())
      script.level(11)
      NICScripts.read(&script, 0xC0, count > 3 ? .nicDescriptorsLow : nil, bits: 0x10)
    }
  }
}
