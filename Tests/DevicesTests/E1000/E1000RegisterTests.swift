import Bus
import Devices
import TestSupport
import Testing

@Suite("82540EM registers (SDM 13)")
struct E1000RegisterTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  @Test("configuration space names the 82540EM, its BARs and INTA# (SDM 4.1)")
  func identity() {
    let nic = card.nic
    #expect(nic.readConfiguration(0x00, width: 4) == 0x100E_8086)
    #expect(nic.readConfiguration(0x08, width: 4) == 0x0200_0003)
    #expect(nic.readConfiguration(0x2C, width: 4) == 0x001E_8086)
    #expect(nic.readConfiguration(0x3D, width: 1) == 1)
    nic.writeConfiguration(0x10, ~0, width: 4)
    #expect(nic.readConfiguration(0x10, width: 4) == 0xFFFE_0000)
    nic.writeConfiguration(0x14, ~0, width: 4)
    #expect(nic.readConfiguration(0x14, width: 4) == 0xFFFF_FFC1)
  }

  @Test(
    "RDT, EECD, IMC and the filter tables may be coalesced; IMS, ICR, CTRL and TDT never; options disable it")
  func coalescing() throws {
    func held(_ options: E1000.Options) throws -> Set<UInt64> {
      let card = try E1000Bench(options: options)
      var offsets: Set<UInt64> = []
      for case .coalesced(let offset, let size) in card.nic.baseAddresses[0]?.accelerations ?? [] {
        offsets.formUnion(stride(from: offset, to: offset + size, by: 4))
      }
      return offsets
    }
    let all = try held(.init())
    for offset in [0x2818, 0x10, 0xD8, 0x5200, 0x53FC, 0x5400, 0x547C, 0x5600, 0x57FC] as [UInt64] {
      #expect(all.contains(offset), "\(offset)")
    }
    #expect(all.isDisjoint(with: [0x00, 0xC0, 0xC8, 0xD0, 0x100, 0x400, 0x3818, 0x51FC, 0x5800]))
    #expect(try held(.init(coalescesMask: false)).contains(0xD8) == false)
    #expect(try held(.init(coalescesWrites: false)) == [])
  }

  @Test("after power-on the link is up at 1000 Mb/s full duplex (SDM 13.4.2)")
  func resetState() {
    #expect(card.read(0x0008) & 0xC3 == 0x83)
    #expect(card.read(0x0000) & 0x0400_0000 == 0)
    #expect(card.read(0x0100) == 0)
    #expect(card.read(0x0400) == 0)
    #expect(card.read(0x1000) == 0x0010_0030)
    #expect(card.read(0x0038) == 0x8100)
    #expect(card.read(0x00D0) == 0)
  }

  @Test("the receive address is loaded from the EEPROM, with AV (SDM 13.5.2)")
  func receiveAddress() {
    #expect(card.read(0x5400) == 0x1200_5452)
    #expect(card.read(0x5404) == 0x8000_5634)
    #expect(card.read(0x540C) == 0)
  }

  @Test("CTRL.RST clears itself and resets registers except PBA (SDM 13.4.1)")
  func softwareReset() {
    card.write(0x00D0, 0x1F6DF)
    card.write(0x2800, 0x1000)
    card.write(0x2818, 5)
    card.write(0x5200, ~0)
    card.write(0x5400, 0xDEAD_BEEF)
    card.write(0x1000, 0x20)
    card.write(0x00C4, 1000)
    card.write(0x0000, 0x0400_0000)
    #expect(card.read(0x0000) & 0x0400_0000 == 0)
    #expect(card.read(0x00D0) == 0)
    #expect(card.read(0x2800) == 0)
    #expect(card.read(0x2818) == 0)
    #expect(card.read(0x5200) == 0)
    #expect(card.read(0x00C4) == 0)
    #expect(card.read(0x5400) == 0x1200_5452)
    #expect(card.read(0x1000) == 0x0020_0020)
    #expect(card.read(0x0008) & 2 == 2)
  }

  @Test("reset lowers INTA#")
  func resetLowersPin() {
    card.write(0x00D0, 4)
    card.write(0x00C8, 4)
    #expect(card.bench.line.isAsserted)
    card.write(0x0000, 0x0400_0000)
    #expect(!card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == 0)
  }

  /// The masks that Linux's register test (`ethtool -t`) requires: offset, mask and written pattern.
  static let masks: [(UInt64, UInt32, UInt32)] = [
    (0x0028, 0xFFFF_FFFF, 0xFFFF_FFFF), (0x002C, 0x0000_FFFF, 0xFFFF_FFFF), (0x0030, 0x0000_FFFF, 0xFFFF_FFFF),
    (0x0038, 0x0000_FFFF, 0xFFFF_FFFF), (0x2820, 0x0000_FFFF, 0xFFFF_FFFF), (0x2804, 0xFFFF_FFFF, 0xFFFF_FFFF),
    (0x2808, 0x000F_FF80, 0x000F_FFFF), (0x2810, 0x0000_FFFF, 0x0000_FFFF), (0x2818, 0x0000_FFFF, 0x0000_FFFF),
    (0x2168, 0x0000_FFF8, 0x0000_FFF8), (0x0170, 0x0000_FFFF, 0x0000_FFFF), (0x0410, 0x3FFF_FFFF, 0x3FFF_FFFF),
    (0x3804, 0xFFFF_FFFF, 0xFFFF_FFFF), (0x3808, 0x000F_FF80, 0x000F_FFFF), (0x2800, 0xFFFF_FFF0, 0xFFFF_FFFF),
    (0x0178, 0xC000_FFFF, 0x0000_FFFF), (0x3800, 0xFFFF_FFF0, 0xFFFF_FFFF), (0x3820, 0x0000_FFFF, 0x0000_FFFF),
    (0x0458, 0x0000_FFFF, 0xFFFF_FFFF), (0x00C4, 0x0000_FFFF, 0xFFFF_FFFF), (0x282C, 0x0000_FFFF, 0xFFFF_FFFF),
    (0x382C, 0x0000_FFFF, 0xFFFF_FFFF), (0x5808, 0x0000_00FF, 0x0000_00FF), (0x5000, 0x0000_03FF, 0xFFFF_FFFF),
    (0x5820, 0xFFFF_FFFF, 0xFFFF_FFFF), (0x5840, 0xFFFF_FFFF, 0xFFFF_FFFF), (0x0E00, 0xCFCF_CFCF, 0xFFFF_FFFF),
  ]

  @Test("each register stores the bits that the datasheet defines", arguments: masks)
  func writableBits(_ offset: UInt64, _ mask: UInt32, _ write: UInt32) {
    for pattern: UInt32 in [0x5A5A_5A5A, 0xA5A5_A5A5, 0, ~0] {
      card.write(offset, pattern & write)
      #expect(card.read(offset) == pattern & write & mask)
    }
  }

  @Test("RCTL stores 0x06DFB3FE and clears to 0; TCTL clears to 0 (SDM 13.4.22)")
  func controls() {
    card.write(0x0100, 0)
    #expect(card.read(0x0100) == 0)
    card.write(0x0100, 0x06DF_B3FE & 0x003F_FFFB)
    #expect(card.read(0x0100) == 0x001F_B3FA)
    card.write(0x0100, ~0)
    #expect(card.read(0x0100) == 0x06DF_B3FE)
    card.write(0x0400, 0)
    #expect(card.read(0x0400) == 0)
  }

  @Test("all 16 receive addresses and both 128-word tables store their writes (SDM 13.5)")
  func tables() {
    for index: UInt64 in 0..<16 {
      card.write(0x5404 + 8 * index, ~0)
      #expect(card.read(0x5404 + 8 * index) == 0x8003_FFFF)
      card.write(0x5400 + 8 * index, 0xA5A5_0000 + UInt32(index))
      #expect(card.read(0x5400 + 8 * index) == 0xA5A5_0000 + UInt32(index))
    }
    for index: UInt64 in 0..<128 {
      card.write(0x5200 + 4 * index, UInt32(index) ^ 0x1234_5678)
      card.write(0x5600 + 4 * index, UInt32(index) ^ 0x8765_4321)
    }
    for index: UInt64 in 0..<128 {
      #expect(card.read(0x5200 + 4 * index) == UInt32(index) ^ 0x1234_5678)
      #expect(card.read(0x5600 + 4 * index) == UInt32(index) ^ 0x8765_4321)
    }
  }

  @Test("STATUS is read-only")
  func statusIsReadOnly() {
    let before = card.read(0x0008)
    card.write(0x0008, 0x7FFF_F033)
    #expect(card.read(0x0008) == before)
  }

  @Test("PBA divides 64 KiB (SDM 13.4.16)")
  func packetBuffer() {
    card.write(0x1000, 0x0000_0028)
    #expect(card.read(0x1000) == 0x0018_0028)
    card.write(0x1000, 0xFFFF_FFFF)
    #expect(card.read(0x1000) == 0x0000_0040)
  }

  @Test("narrow reads return their bytes; narrow and unaligned writes have no effect (SDM 13.3)")
  func widths() {
    card.write(0x0028, 0x4433_2211)
    #expect(card.bench.bus.read(.memory, 0xE000_0028, width: 1) == 0x11)
    #expect(card.bench.bus.read(.memory, 0xE000_002A, width: 2) == 0x4433)
    card.bench.bus.write(.memory, 0xE000_0028, width: 1, 0xFF)
    card.bench.bus.write(.memory, 0xE000_0028, width: 2, 0xFFFF)
    card.bench.bus.write(.memory, 0xE000_0029, width: 4, 0xFFFF_FFFF)
    #expect(card.read(0x0028) == 0x4433_2211)
  }

  @Test("eight bytes are two registers")
  func quadwords() {
    card.bench.bus.write(.memory, 0xE000_2800, width: 8, 0x0000_0001_0002_0000)
    #expect(card.read(0x2800) == 0x2_0000)
    #expect(card.read(0x2804) == 1)
    #expect(card.bench.bus.read(.memory, 0xE000_2800, width: 8) == 0x0000_0001_0002_0000)
    _ = card.bench.bus.read(.memory, 0xE001_FFFC, width: 8)
  }

  @Test("addresses without a register read 0 and ignore writes")
  func holes() {
    card.write(0x0004, ~0)
    card.write(0x7000, ~0)
    #expect(card.read(0x0004) == 0)
    #expect(card.read(0x7000) == 0)
    card.write(0x1_0000, 0x1234_5678)
    #expect(card.read(0x1_0000) == 0x1234_5678)
    card.write(0x1_FFFC, 0x9ABC_DEF0)
    #expect(card.read(0x1_FFFC) == 0x9ABC_DEF0)
  }

  @Test("IOADDR and IODATA reach the same registers (SDM 13.2.2)")
  func portWindow() {
    card.bench.outl(0xC100, 0x0028)
    #expect(card.bench.inl(0xC100) == 0x0028)
    card.bench.outl(0xC104, 0xCAFE_F00D)
    #expect(card.read(0x0028) == 0xCAFE_F00D)
    #expect(card.bench.inl(0xC104) == 0xCAFE_F00D)
    card.bench.outl(0xC100, 0x0000)
    card.bench.outl(0xC104, 0x0400_0000)
    #expect(card.read(0x0028) == 0)
    card.bench.outl(0xC100, 0xFFFF_FFFF)
    card.bench.outl(0xC104, ~0)
    #expect(card.bench.inl(0xC104) == 0)
  }

  @Test("statistics are read-only")
  func statisticsAreReadOnly() {
    for offset in stride(from: UInt64(0x4000), through: 0x40FC, by: 4) {
      card.write(offset, ~0)
      #expect(card.read(offset) == 0)
    }
  }

  @Test("a MAC address must be six bytes, unicast")
  func badAddress() throws {
    #expect(throws: (any Error).self) {
      _ = try E1000(
        name: "e", macAddress: [1, 2, 3], memory: card.bench.memory, backend: card.network, loop: card.bench.loop,
        counters: card.bench.counters)
    }
  }
}
