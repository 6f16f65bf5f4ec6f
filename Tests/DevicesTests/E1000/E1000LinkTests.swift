import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM EEPROM (SDM 5.4-5.6, 13.4.3, 13.4.4)")
struct E1000EEPROMTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  private func readByEERD(_ word: UInt32) -> UInt16 {
    card.write(0x0014, word << 8 | 1)
    #expect(card.read(0x0014) & 0x10 == 0x10)
    return UInt16(card.read(0x0014) >> 16)
  }

  /// Drives the pins as a driver does: SK bit 0, CS bit 1, DI bit 2, DO bit 3, with the request in bit 6.
  private func shiftOut(_ value: UInt32, bits: Int) {
    for bit in (0..<bits).reversed() {
      let data: UInt32 = (value >> UInt32(bit) & 1) << 2
      card.write(0x0010, 0x42 | data)
      card.write(0x0010, 0x43 | data)
      card.write(0x0010, 0x42 | data)
    }
  }

  private func shiftIn() -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<16 {
      card.write(0x0010, 0x43)
      value = value << 1 | UInt16(card.read(0x0010) >> 3 & 1)
      card.write(0x0010, 0x42)
    }
    return value
  }

  private func deselect() {
    card.write(0x0010, 0x40)
    card.write(0x0010, 0x42)
  }

  @Test("words 0 to 2 hold the address; all 64 add up to 0xBABA")
  func contents() {
    #expect((0..<3).map(readByEERD) == [0x5452, 0x1200, 0x5634])
    #expect((0..<64).map(readByEERD).reduce(0, &+) == 0xBABA)
    #expect(readByEERD(0x0D) == 0x100E)
    #expect(readByEERD(0x0E) == 0x8086)
  }

  @Test("EERD reads 0xFFFF beyond the last word, and reads nothing without START")
  func beyond() {
    #expect(readByEERD(64) == 0xFFFF)
    #expect(readByEERD(255) == 0xFFFF)
    card.write(0x0014, 0x0000)
    #expect(card.read(0x0014) & 0x10 == 0)
  }

  @Test("EECD grants a request, and reports an EEPROM of 64 words")
  func grant() {
    #expect(card.read(0x0010) & 0x3C0 == 0x100)
    card.write(0x0010, 0x40)
    #expect(card.read(0x0010) & 0x3C0 == 0x1C0)
    card.write(0x0010, 0)
    #expect(card.read(0x0010) & 0x80 == 0)
  }

  @Test("words are read through the pins, after a dummy zero, one after the other")
  func microwireRead() {
    for word: UInt32 in [0, 1, 2, 63] {
      deselect()
      shiftOut(0b110, bits: 3)
      shiftOut(word, bits: 6)
      #expect(card.read(0x0010) & 8 == 0)
      #expect(shiftIn() == readByEERD(word))
    }
    deselect()
    shiftOut(0b110 << 6, bits: 9)
    #expect((0..<3).map { _ in shiftIn() } == [0x5452, 0x1200, 0x5634])
  }

  @Test("a word is written only after writes are enabled, and then DO shows ready")
  func microwireWrite() {
    func write(_ word: UInt32, _ value: UInt32) {
      deselect()
      shiftOut(0b101 << 6 | word, bits: 9)
      shiftOut(value, bits: 16)
      deselect()
    }
    write(5, 0x1234)
    #expect(readByEERD(5) == 0xFFFF)
    deselect()
    shiftOut(0b10011 << 4, bits: 9)
    write(5, 0x1234)
    #expect(card.read(0x0010) & 8 == 8)
    #expect(readByEERD(5) == 0x1234)
    deselect()
    shiftOut(0b10000 << 4, bits: 9)
    write(5, 0x4321)
    #expect(readByEERD(5) == 0x1234)
  }

  @Test("a written address takes effect at the next reset")
  func addressAfterReset() {
    deselect()
    shiftOut(0b10011 << 4, bits: 9)
    deselect()
    shiftOut(0b101 << 6, bits: 9)
    shiftOut(0xBB02, bits: 16)
    deselect()
    #expect(card.read(0x5400) == 0x1200_5452)
    card.write(0x0000, 0x0400_0000)
    #expect(card.read(0x5400) == 0x1200_BB02)
  }
}

@Suite("82540EM PHY, link and loopback (SDM 13.4.1, 13.4.2, 13.4.6)")
struct E1000LinkTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  @Test("MDIC reads the identifiers of the 88E1011, with R set")
  func identifiers() {
    #expect(card.readPHY(2) == 0x0141)
    #expect(card.readPHY(3) == 0x0C20)
    #expect(card.read(0x0020) & 0x5000_0000 == 0x1000_0000)
  }

  @Test("another PHY address or an unknown operation sets E")
  func errors() {
    card.write(0x0020, 0x0840_0000)
    #expect(card.read(0x0020) & 0x5000_0000 == 0x5000_0000)
    card.write(0x0020, 0x0020_0000)
    #expect(card.read(0x0020) & 0x4000_0000 == 0x4000_0000)
  }

  @Test("MDIC.I interrupts with MDAC")
  func mdiInterrupt() {
    card.write(0x0020, 0x0822_0000)
    #expect(card.read(0x00C0) & 0x200 == 0)
    card.write(0x0020, 0x2822_0000)
    #expect(card.read(0x00C0) & 0x200 == 0x200)
  }

  @Test("identifiers are read-only, advertisement is writable, and a reset clears itself and restores it")
  func phyRegisters() {
    card.writePHY(2, 0xFFFF)
    #expect(card.readPHY(2) == 0x0141)
    card.writePHY(4, 0x0001)
    #expect(card.readPHY(4) == 0x0001)
    card.writePHY(0, 0x9140)
    #expect(card.readPHY(0) == 0x1140)
    #expect(card.readPHY(4) == 0x0DE1)
  }

  @Test("negotiation is complete at 1000 Mb/s, and restarting it ends with LSC")
  func negotiation() {
    #expect(card.readPHY(1) & 0x24 == 0x24)
    #expect(card.readPHY(17) & 0xEC00 == 0xAC00)
    #expect(card.readPHY(10) & 0x0800 == 0x0800)
    card.writePHY(0, 0x1340)
    #expect(card.readPHY(0) == 0x1140)
    #expect(card.read(0x00C0) & 4 == 4)
    #expect(card.read(0x0008) & 2 == 2)
  }

  /// Registers 4 and 9, then the expected STATUS (ASDV, SPEED, FD) and register 17.
  static let advertised: [(UInt32, UInt32, UInt32, UInt32)] = [
    (0x0DE1, 0x0E00, 0x281, 0xAC00), (0x0DE1, 0x0100, 0x280, 0x8C00), (0x0DE1, 0x0000, 0x141, 0x6C00),
    (0x0CE1, 0x0000, 0x140, 0x4C00), (0x0C61, 0x0000, 0x001, 0x2C00), (0x0C21, 0x0000, 0x000, 0x0C00),
  ]

  @Test("negotiation selects the best mode that the guest advertises (IEEE 802.3, 28B.3)", arguments: advertised)
  func advertisement(_ base: UInt32, _ gigabit: UInt32, _ status: UInt32, _ specific: UInt32) {
    card.writePHY(4, base)
    card.writePHY(9, gigabit)
    #expect(card.read(0x0008) & 0x3C1 == 0x281, "not before negotiation is restarted")
    _ = card.read(0x00C0)
    card.writePHY(0, 0x1340)
    #expect(card.read(0x00C0) & 4 == 4)
    #expect(card.read(0x0008) & 0x3C3 == status | 2)
    #expect(card.readPHY(17) & 0xEC00 == specific)
    #expect(card.readPHY(10) & 0x3000 == (status & 0x80 != 0 ? 0x3000 : 0))
  }

  @Test("a PHY that advertises nothing has no link, until negotiation is turned off")
  func nothingAdvertised() {
    card.writePHY(4, 0x0001)
    card.writePHY(9, 0)
    card.writePHY(0, 0x1340)
    #expect(card.read(0x0008) & 2 == 0)
    #expect(card.readPHY(1) & 0x24 == 0)
    card.writePHY(0, 0x2100)
    #expect(card.read(0x0008) & 2 == 2)
  }

  @Test("without negotiation, the link uses the forced speed and duplex of the PHY or of CTRL.FRCSPD and FRCDPX")
  func forced() {
    for (control, status) in [(0x2100, 0x141), (0x2000, 0x140), (0x0100, 0x001), (0x0140, 0x281)]
      as [(UInt32, UInt32)]
    {
      card.writePHY(0, control)
      #expect(card.read(0x0008) & 0x3C3 == status | 2)
      _ = card.readPHY(1)  // The link was down in between, which latches.
      #expect(card.readPHY(1) & 0x24 == 0x04)
    }
    card.writePHY(0, 0x2100)
    card.write(0x0000, 0x1940)
    #expect(card.read(0x0008) & 0x3C3 == 0x142, "100 Mb/s, half duplex")
    card.write(0x0000, 0x0040)
    card.writePHY(0, 0x1340)
    #expect(card.read(0x0008) & 0x3C3 == 0x283)
  }

  @Test("when a backend pulls the cable, STATUS.LU clears and LSC is raised; the PHY's link bit latches low")
  func linkDown() {
    card.write(0x00D0, 4)
    card.network.setLink(up: false)
    #expect(card.read(0x0008) & 2 == 0)
    #expect(card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == 4)
    card.network.setLink(up: false)
    #expect(card.read(0x00C0) == 0)
    card.network.setLink(up: true)
    #expect(card.read(0x0008) & 2 == 2)
    #expect(card.read(0x00C0) == 4)
    #expect(card.readPHY(1) & 4 == 0)
    #expect(card.readPHY(1) & 4 == 4)
  }

  @Test("without CTRL.SLU the MAC sees no link")
  func setLinkUp() {
    card.write(0x0000, 0x0201)
    #expect(card.read(0x0008) & 2 == 0)
    #expect(card.read(0x00C0) & 4 == 4)
    card.write(0x0000, 0x0241)
    #expect(card.read(0x0008) & 2 == 2)
  }

  @Test("CTRL.PHY_RST holds the PHY in reset")
  func phyReset() {
    card.writePHY(4, 1)
    card.write(0x0000, 0x8000_0241)
    #expect(card.read(0x0008) & 2 == 0)
    card.write(0x0000, 0x0241)
    #expect(card.read(0x0008) & 2 == 2)
    #expect(card.readPHY(4) == 0x0DE1)
  }

  @Test("a powered-down PHY has no link")
  func powerDown() {
    card.writePHY(0, 0x1940)
    #expect(card.read(0x0008) & 2 == 0)
    card.writePHY(0, 0x1140)
    #expect(card.read(0x0008) & 2 == 2)
  }

  @Test("in PHY loopback, frames come back and do not leave, with or without a cable")
  func phyLoopback() {
    card.nic.setLink(up: false)
    card.writePHY(0, 0x4140)
    card.startReceive()
    card.startTransmit()
    let broadcast = E1000Packet.ethernet(to: [UInt8](repeating: 0xFF, count: 6), count: 1024)
    for index in 0..<3 { card.putLegacy(index, broadcast) }
    card.ring(3)
    #expect(card.network.sent.isEmpty)
    #expect((0..<3).allSatisfy { card.received($0).bytes == broadcast })
    #expect(card.read(0x00C0) & 0x81 == 0x81)
    #expect(card.offer(broadcast) == .discarded, "frames from the wire are not received")
    card.writePHY(0, 0x1140)
    card.nic.setLink(up: true)
    #expect(card.offer(broadcast) == .accepted)
  }

  @Test("RCTL.LBM loops back too, with checksums complete")
  func macLoopback() {
    card.startReceive(control: 0x0400_80C2)
    card.startTransmit()
    card.write(0x5000, 0x300)
    var frame = E1000Packet.ipv4(payload: 100)
    E1000Packet.put(E1000Packet.pseudoHeader(frame, length: 120), &frame, 50)
    card.putContext(0, command: 0x03)
    card.putData(1, frame, options: 2)
    card.ring(2)
    #expect(card.network.sent.isEmpty)
    #expect(card.received(0).status & 0x20 == 0x20)
    #expect(card.received(0).errors == 0)
  }

  @Test("looped frames without a buffer are dropped and counted in MPC")
  func loopbackOverrun() {
    card.startReceive(count: 8, control: 0x0400_80C2, tail: 1)
    card.startTransmit()
    for index in 0..<3 { card.putLegacy(index, E1000Packet.ethernet()) }
    card.ring(3)
    #expect(card.read(0x4010) == 2)
    #expect(card.count(.dropsNoReceiveBuffer) == 2)
    #expect(card.read(0x3810) == 3)
  }
}
