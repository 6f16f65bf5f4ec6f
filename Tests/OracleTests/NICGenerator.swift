import TestSupport

/// Generates scripts from a seed: a driver sends and receives frames.
enum NICGenerator {
  /// Receive descriptors: more than a script uses, since running out of them is a known difference.
  private static let descriptors = 256

  private struct Driver {
    var script: Script
    var random: RandomNumbers
    let loops: Bool
    /// The next transmit descriptor.
    var tail = 0

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    mutating func isTrue() -> Bool { Bool.random(using: &random) }
  }

  static func script(seed: UInt64, operations: [Int]) -> Script {
    var random = Oracle.numbers(seed: seed, operation: -1)
    let loops = Bool.random(using: &random)
    var driver = Driver(script: Script("82540EM: generated, seed \(seed)"), random: random, loops: loops)
    let usesVLAN = driver.isTrue()
    if usesVLAN { NICScripts.write(&driver.script, 0x00, 0x4000_0241) }
    // With a tag, the first of several descriptors would differ, which is a known difference.
    let size = usesVLAN ? 0 : UInt32(driver.number(0...2)) << 16
    let strips: UInt32 = driver.isTrue() ? 0x0400_0000 : 0
    NICTrafficScripts.start(
      &driver.script, loops: loops, control: 0x8002 | size | strips, receiveCount: descriptors, transmitCount: 32)
    for operation in operations {
      driver.random = Oracle.numbers(seed: seed, operation: operation)
      step(&driver, usesVLAN: usesVLAN)
    }
    for index in 0..<32 { driver.script.load(NICTrafficScripts.receiveBuffer(index), count: 2048) }
    statistics(&driver.script)
    return driver.script
  }

  private static func step(_ driver: inout Driver, usesVLAN: Bool) {
    switch driver.number(0...8) {
    case 0, 1, 2: sendLegacy(&driver, usesVLAN: usesVLAN)
    case 3, 4: sendExtended(&driver)
    case 5 where !driver.loops: segment(&driver)
    case 6 where !driver.loops, 7 where !driver.loops: receive(&driver, usesVLAN: usesVLAN)
    default: NICScripts.write(&driver.script, driver.isTrue() ? 0xD0 : 0xD8, UInt32(driver.number(0...0xFFFF)))
    }
    look(&driver)
  }

  private static func look(_ driver: inout Driver) {
    driver.script.settle()
    driver.script.level(11)
    NICScripts.read(&driver.script, 0xC0)
    for register in [0x2810, 0x3810] as [UInt64] { NICScripts.read(&driver.script, register) }
    driver.script.load(0x2_0000, count: 512)
    driver.script.load(0x1_0000, count: 16 * descriptors)
    driver.script.sent()
  }

  private static func destination(_ driver: inout Driver) -> [UInt8] {
    switch driver.number(0...4) {
    case 0: return [UInt8](repeating: 0xFF, count: 6)
    case 1: return [0x01, 0x00, 0x5E, 0, 0, UInt8(driver.number(0...255))]
    case 2: return [0x52, 0x54, 0x00, 0x12, 0x34, UInt8(driver.number(0...255))]
    default: return NICPacket.own
    }
  }

  private static func send(_ driver: inout Driver, _ descriptors: [[UInt8]]) {
    NICTrafficScripts.send(&driver.script, descriptors, from: driver.tail, ring: 32)
    driver.tail = (driver.tail + descriptors.count) % 32
  }

  /// Sends a frame of one to three descriptors and at least 60 bytes, since QEMU does not pad.
  private static func sendLegacy(_ driver: inout Driver, usesVLAN: Bool) {
    let count = driver.number(60...1514)
    let at = NICTrafficScripts.buffer(driver.number(0...7))
    driver.script.store(at, NICPacket.ethernet(to: destination(&driver), count: count))
    let pieces = driver.number(1...3)
    var (descriptors, offset) = ([[UInt8]](), 0)
    let tag: UInt64 = usesVLAN && driver.isTrue() ? 0x40 : 0
    let special = UInt64(driver.number(0...0xFFFF))
    for piece in 1...pieces {
      let end = piece == pieces ? count : count * piece / pieces
      let command: UInt64 = piece == pieces ? (driver.isTrue() ? 0x0B : 0x03) | tag : 0x02
      descriptors.append(NICPacket.legacy(at + UInt64(offset), end - offset, command: command, special: special))
      offset = end
    }
    send(&driver, descriptors)
  }

  private static func sendExtended(_ driver: inout Driver) {
    let isUDP = driver.isTrue()
    let frame = NICPacket.ipv4(isUDP: isUDP, payload: driver.number(18...1400))
    let at = NICTrafficScripts.buffer(driver.number(0...7))
    driver.script.store(at, frame)
    let options = UInt64(driver.number(0...3))
    send(
      &driver,
      [
        NICPacket.context(command: isUDP ? 0x02 : 0x03, isUDP: isUDP),
        NICPacket.data(at, frame.count, options: options),
      ])
  }

  /// Sends a large frame to the wire. A payload of whole segments is a known difference.
  private static func segment(_ driver: inout Driver) {
    let mss = driver.number(400...1460)
    var payload = driver.number(500...6000)
    if payload % mss == 0 { payload += 1 }
    let frame = NICPacket.ipv4(payload: payload, withLength: false)
    let at = NICTrafficScripts.buffer(driver.number(0...5))
    driver.script.store(at, frame)
    send(
      &driver,
      [
        NICPacket.context(command: 0x07, payload: payload, header: 54, mss: mss),
        NICPacket.data(at, 54, command: 0x04, options: 0x03),
        NICPacket.data(at + 54, payload, command: 0x0D, options: 0x03),
      ])
  }

  private static func receive(_ driver: inout Driver, usesVLAN: Bool) {
    var frame = NICPacket.ethernet(to: destination(&driver), count: driver.number(60...1514))
    if usesVLAN, driver.isTrue() { frame = NICPacket.tagged(UInt16(driver.number(0...0xFFFF)), frame) }
    driver.script.receive(frame)
  }

  /// Reads statistics of frames and octets. QEMU does not count octets of a tag that the device inserts or strips.
  private static func statistics(_ script: inout Script) {
    for register in [0x4074, 0x4078, 0x407C, 0x4080, 0x40D4] as [UInt64] { NICScripts.read(&script, register) }
    script.may(.nicTotalPackets) { NICScripts.read(&$0, 0x40D0) }
    script.may(.nicTagOctets) { script in
      for register in [0x4088, 0x408C, 0x4090, 0x40C8] as [UInt64] { NICScripts.read(&script, register) }
    }
  }
}
