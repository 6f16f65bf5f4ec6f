import TestSupport
import Testing

/// The accesses of `ethtool -t eth0 offline` to an 82540EM under Linux 6.1, in order, on one card.
@Suite("82540EM self-test as Linux's driver runs it")
struct E1000EthtoolTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  /// The driver's reset through IOADDR and IODATA, and its set-up afterwards.
  private func reset() {
    card.write(0x00D8, ~0)
    card.write(0x0100, 0)
    card.write(0x0400, 0x08)
    let control = card.read(0x0000)
    card.bench.outl(0xC100, 0)
    card.bench.outl(0xC104, control | 0x0400_0000)
    card.write(0x00D8, ~0)
    _ = card.read(0x00C0)
    for index: UInt64 in 0..<128 { card.write(0x5200 + 4 * index, 0) }
    card.write(0x0000, card.read(0x0000) & ~0x1800 | 0x40)
    // Restarts negotiation.
    card.writePHY(4, 0x0DE1)
    card.writePHY(9, 0x0E00)
    card.writePHY(0, card.readPHY(0) | 0x1200)
    card.write(0x3828, 0x0101_0000)
    card.write(0x0038, 0x8100)
  }

  // MARK: Registers

  private func pattern(_ offset: UInt64, _ mask: UInt32, _ write: UInt32) {
    for value: UInt32 in [0x5A5A_5A5A, 0xA5A5_A5A5, 0, ~0] {
      card.write(offset, value & write)
      #expect(card.read(offset) == value & write & mask, "\(String(offset, radix: 16))")
      // The wire is busy meanwhile.
      card.offer(E1000Packet.ethernet(to: [UInt8](repeating: 0xFF, count: 6)))
    }
  }

  private func setAndCheck(_ offset: UInt64, _ mask: UInt32, _ write: UInt32) {
    card.write(offset, write & mask)
    #expect(card.read(offset) & mask == write & mask)
  }

  @Test("registers: STATUS is read-only and patterns read back while frames arrive; a reset restores everything")
  func registers() {
    reset()
    let status = card.read(0x0008)
    card.write(0x0008, 0xFFFF_F833)
    #expect(card.read(0x0008) & 0xFFFF_F833 == status & 0xFFFF_F833)
    card.write(0x0008, status)
    for (offset, mask, write) in [
      (0x0028, 0xFFFF_FFFF, 0xFFFF_FFFF), (0x002C, 0x0000_FFFF, 0xFFFF_FFFF), (0x0030, 0x0000_FFFF, 0xFFFF_FFFF),
      (0x0038, 0x0000_FFFF, 0xFFFF_FFFF), (0x2820, 0x0000_FFFF, 0xFFFF_FFFF), (0x2804, 0xFFFF_FFFF, 0xFFFF_FFFF),
      (0x2808, 0x000F_FF80, 0x000F_FFFF), (0x2810, 0x0000_FFFF, 0x0000_FFFF), (0x2818, 0x0000_FFFF, 0x0000_FFFF),
      (0x2168, 0x0000_FFF8, 0x0000_FFF8), (0x0170, 0x0000_FFFF, 0x0000_FFFF), (0x0410, 0x3FFF_FFFF, 0x3FFF_FFFF),
      (0x3804, 0xFFFF_FFFF, 0xFFFF_FFFF), (0x3808, 0x000F_FF80, 0x000F_FFFF),
    ] as [(UInt64, UInt32, UInt32)] {
      pattern(offset, mask, write)
    }
    setAndCheck(0x0100, ~0, 0)
    setAndCheck(0x0100, 0x06DF_B3FE, 0x003F_FFFB)
    setAndCheck(0x0400, ~0, 0)
    setAndCheck(0x0100, 0x06DF_B3FE, ~0)
    pattern(0x2800, 0xFFFF_FFF0, ~0)
    pattern(0x0178, 0xC000_FFFF, 0x0000_FFFF)
    pattern(0x3800, 0xFFFF_FFF0, ~0)
    pattern(0x3820, 0x0000_FFFF, 0x0000_FFFF)
    for index: UInt64 in 0..<15 { pattern(0x5404 + 8 * index, 0x8003_FFFF, ~0) }
    for index: UInt64 in 0..<128 { pattern(0x5200 + 4 * index, ~0, ~0) }
    reset()
    card.startReceive()
    #expect(card.offer(E1000Packet.ethernet()) == .accepted)
    #expect(card.received(0).bytes == E1000Packet.ethernet())
  }

  // MARK: EEPROM

  /// Reads one word through EECD: REQ and GNT, nine bits out, sixteen in, CS and REQ off.
  private func word(_ address: UInt32) -> UInt16 {
    var pins: UInt32 = 0x40
    func drive(_ change: (inout UInt32) -> Void) {
      change(&pins)
      card.write(0x0010, pins)
    }
    func pulse() {
      drive { $0 |= 1 }
      drive { $0 &= ~1 }
    }
    drive { _ in }
    #expect(card.read(0x0010) & 0x80 != 0)
    drive { $0 |= 2 }
    for bit in (0..<9).reversed() {
      drive { $0 = ($0 & ~4) | ((0b110 << 6 | address) >> UInt32(bit) & 1) << 2 }
      pulse()
    }
    drive { $0 &= ~4 }
    var value: UInt16 = 0
    for _ in 0..<16 {
      drive { $0 |= 1 }
      value = value << 1 | UInt16(card.read(0x0010) >> 3 & 1)
      drive { $0 &= ~1 }
    }
    // Standby with the clock raised while CS is low, then release.
    drive { $0 &= ~3 }
    drive { $0 |= 1 }
    drive { $0 |= 2 }
    drive { $0 &= ~1 }
    drive { $0 &= ~6 }
    pulse()
    drive { $0 &= ~0x40 }
    return value
  }

  @Test("EEPROM: 64 words, read by its pins, add up to 0xBABA")
  func eeprom() {
    reset()
    let words = (0..<64).map { word($0) }
    #expect(Array(words[0..<3]) == [0x5452, 0x1200, 0x5634])
    #expect(words.reduce(0, &+) == 0xBABA)
  }

  // MARK: Interrupts

  /// The handler, called while INTA# is low: the causes it read.
  private func handled() -> UInt32 {
    var causes: UInt32 = 0
    while card.bench.line.isAsserted { causes |= card.read(0x00C0) }
    return causes
  }

  @Test("interrupts 0 to 9: masked ones stay silent, unmasked ones arrive", arguments: [false, true])
  func interrupts(isShared: Bool) {
    reset()
    card.write(0x00D8, ~0)
    for bit: UInt32 in 0..<10 {
      let mask: UInt32 = 1 << bit
      if !isShared {
        card.write(0x00D8, mask)
        card.write(0x00C8, mask)
        #expect(handled() & mask == 0)
      }
      card.write(0x00D0, mask)
      card.write(0x00C8, mask)
      #expect(handled() & mask == mask)
      if !isShared {
        card.write(0x00D8, ~mask & 0x7FFF)
        card.write(0x00C8, ~mask & 0x7FFF)
        #expect(handled() == 0)
      }
    }
    card.write(0x00D8, ~0)
    #expect(handled() == 0)
  }

  // MARK: Loopback

  private func transmitData(_ index: Int) -> UInt64 { 0x20_0000 + UInt64(index) * 0x400 }
  private func receiveData(_ index: Int) -> UInt64 { 0x40_0000 + UInt64(index) * 0x800 }

  /// 256 descriptors each way, as the test sets them up: legacy, EOP, IFCS and RPS; no SECRC.
  private func setUpRings() {
    card.write(0x3800, 0x2_0000)
    card.write(0x3804, 0)
    card.write(0x3808, 0x1000)
    card.write(0x3810, 0)
    card.write(0x3818, 0)
    card.write(0x0400, 0x0004_00FA)
    for index in 0..<256 { card.putDescriptor(index, transmitData(index), 1024 | 0x13 << 24) }
    card.write(0x0100, card.read(0x0100) & ~2)
    card.write(0x2800, 0x1_0000)
    card.write(0x2804, 0)
    card.write(0x2808, 0x1000)
    card.write(0x2810, 0)
    card.write(0x2818, 0)
    card.write(0x0100, 0x8002)
    for index in 0..<256 { card.putReceive(index, receiveData(index)) }
  }

  private static let frame: [UInt8] = {
    var bytes = [UInt8](repeating: 0xFF, count: 1024)
    for index in 512..<1023 { bytes[index] = 0xAA }
    bytes[522] = 0xBE
    bytes[524] = 0xAF
    return bytes
  }()

  @Test(
    "loopback: 10 rounds of 64 frames come back over rings of 256, with the cable in or out", arguments: [true, false])
  func loopback(hasCable: Bool) {
    card.nic.setLink(up: hasCable)
    reset()
    card.writePHY(0, card.readPHY(0) & ~0x0800)
    setUpRings()
    // Crossover off, reset, negotiation off, loopback at 1000 Mb/s, the MAC forced to the same.
    for (register, value) in [(16, 0x0808), (0, 0x9140), (0, 0x8140), (0, 0x4140)] as [(UInt32, UInt32)] {
      card.writePHY(register, value)
    }
    card.write(0x0000, card.read(0x0000) & ~0x0300 | 0x1A81)
    for (register, value) in [(29, 0x001F), (30, 0x8FFC), (29, 0x001A), (30, 0x8FF0)] as [(UInt32, UInt32)] {
      card.writePHY(register, value)
    }
    #expect(card.readPHY(0) == 0x4140)

    card.write(0x2818, 255)
    var sent = 0
    var looked = 0
    for round in 0..<10 {
      for _ in 0..<64 {
        card.bench.store(Self.frame, at: transmitData(sent))
        sent = (sent + 1) % 256
      }
      card.ring(UInt32(sent))
      #expect(card.read(0x3810) == UInt32(sent))
      var good = 0
      for _ in 0..<512 where good < 64 {
        let data = card.bench.bytes(at: receiveData(looked), count: 1024)
        if data[3] == 0xFF, data[522] == 0xBE, data[524] == 0xAF { good += 1 }
        looked = (looked + 1) % 256
      }
      #expect(good == 64, "round \(round)")
    }
    // RDT was written once: 255 frames found a descriptor, with four bytes of FCS behind them.
    #expect(card.read(0x2810) == 255)
    #expect(card.read(0x4074) == 255)
    #expect(card.read(0x4010) == 640 - 255)
    #expect((0..<255).allSatisfy { card.load16(0x1_0000 + UInt64($0) * 16 + 8) == 1028 })
    #expect((0..<255).allSatisfy { card.bench.bytes(at: receiveData($0), count: 1024) == Self.frame })
    #expect(card.network.sent.isEmpty)

    // The clean-up, then frames from the wire arrive again.
    card.write(0x0100, card.read(0x0100) & ~0xC0)
    card.writePHY(0, card.readPHY(0) & ~0x4000)
    card.writePHY(0, card.readPHY(0) | 0x8000)
    reset()
    #expect(card.read(0x0008) & 2 == (hasCable ? 2 : 0))
    card.nic.setLink(up: true)
    card.startReceive()
    #expect(card.offer(E1000Packet.ethernet()) == .accepted)
  }

  // MARK: Link

  @Test("link: STATUS.LU and the PHY agree, with the cable in or out", arguments: [true, false])
  func link(hasCable: Bool) {
    card.nic.setLink(up: hasCable)
    reset()
    _ = card.readPHY(1)
    #expect(card.readPHY(1) & 0x24 == (hasCable ? 0x24 : 0))
    #expect(card.read(0x0008) & 2 == (hasCable ? 2 : 0))
  }
}
