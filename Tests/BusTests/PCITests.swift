import Bus
import TestSupport
import Testing

@Suite("PCI configuration (PCI 3.0, chapter 6 and 3.2.2.3.2)")
struct PCITests {
  let bus = Bus()
  let bridge = PCIHostBridge()
  let line = RecordedLine()
  let function: PCIFunction

  init() {
    var identity = PCIIdentity(vendor: 0x1234, device: 0x5678, baseClass: 2, subclass: 0)
    identity.interruptPin = 1
    function = PCIFunction(
      name: "test", identity: identity,
      bars: [
        PCIBaseAddress(kind: .memory, size: 0x2000), PCIBaseAddress(kind: .port, size: 0x40), nil,
        PCIBaseAddress(kind: .memory, size: 0x1000),
      ])
    bridge.attach(to: bus)
    bridge.plug(function, device: 4)
    function.attach(to: bus, line: line, interruptLine: 11)
  }

  private func address(_ register: UInt32, device: UInt32 = 4, bus number: UInt32 = 0) -> UInt32 {
    0x8000_0000 | number << 16 | device << 11 | register & 0xFC
  }
  private func read(_ register: UInt32, width: Int = 4) -> UInt64 {
    bus.write(.port, 0xCF8, width: 4, UInt64(address(register)))
    return bus.read(.port, 0xCFC + UInt64(register & 3), width: width)
  }
  private func write(_ register: UInt32, _ value: UInt64, width: Int = 4) {
    bus.write(.port, 0xCF8, width: 4, UInt64(address(register)))
    bus.write(.port, 0xCFC + UInt64(register & 3), width: width, value)
  }

  @Test("3.2.2.3.2: the address latch and the data window, at every width")
  func mechanism() {
    #expect(read(0) == 0x5678_1234)
    #expect(bus.read(.port, 0xCF8, width: 4) == 0x8000_2000)
    #expect(read(2, width: 2) == 0x5678)
    #expect(read(3, width: 1) == 0x56)
    bus.write(.port, 0xCF8, width: 4, 0x0000_2000)
    #expect(bus.read(.port, 0xCFC, width: 4) == 0xFFFF_FFFF, "not enabled")
    for empty in [address(0, device: 5), address(0, bus: 1), 0x8000_2100] as [UInt32] {
      bus.write(.port, 0xCF8, width: 4, UInt64(empty))
      #expect(bus.read(.port, 0xCFC, width: 4) == 0xFFFF_FFFF)
      bus.write(.port, 0xCFC, width: 4, 0)
    }
    bus.write(.port, 0xCF8, width: 4, 0xFFFF_FFFF)
    #expect(bus.read(.port, 0xCF8, width: 4) == 0x80FF_FFFC, "reserved bits read 0")
    #expect(bus.read(.port, 0xCF8, width: 1) == 0xFF, "only whole dwords reach the latch")
    bus.write(.port, 0xCF8, width: 4, UInt64(address(0xFC)))
    #expect(bus.read(.port, 0xCFF, width: 4) == 0xFFFF_FFFF, "beyond the end of configuration space")
    bus.write(.port, 0xCFF, width: 4, 0xFFFF_FFFF)
    _ = bus.read(.port, 0xCFC, width: 8)
  }

  @Test("6.2.5.1: BARs report their size and kind")
  func sizing() {
    for (register, expected) in [(0x10, 0xFFFF_E000), (0x14, 0xFFFF_FFC1), (0x18, 0), (0x1C, 0xFFFF_F000), (0x24, 0)]
      as [(UInt32, UInt64)]
    {
      write(register, 0xFFFF_FFFF)
      #expect(read(register) == expected)
    }
  }

  @Test("6.2.2: a BAR is decoded while its space is enabled, and moves")
  func decoding() {
    write(0x10, 0xE000_1FFF)
    #expect(read(0x10) == 0xE000_0000)
    #expect(bus.range(.memory, at: 0xE000_0000) == nil)
    write(0x04, 0xFFFF, width: 2)
    #expect(read(0x04, width: 2) == 0x0407, "bits that do nothing read 0")
    #expect(bus.range(.memory, at: 0xE000_1FFF)?.region == 0)
    write(0x10, 0xD000_0000)
    #expect(bus.range(.memory, at: 0xE000_0000) == nil)
    #expect(bus.range(.memory, at: 0xD000_0000)?.region == 0)
    write(0x14, 0xC001)
    #expect(bus.range(.port, at: 0xC03F)?.region == 1)
    write(0x04, 0x02, width: 2)
    #expect(bus.range(.port, at: 0xC000) == nil)
    #expect(bus.range(.memory, at: 0xD000_0000)?.region == 0)
  }

  @Test("a BAR at an address that it may not have is not decoded")
  func places() {
    write(0x04, 0x07, width: 2)
    for value in [0, 0xFFFF_FFFF, 0xFEC0_0000, 0xFEE0_0000, 0xFEBF_F000 + 0x1000] as [UInt64] {
      write(0x10, value)
      #expect(bus.range(.memory, at: value & 0xFFFF_E000) == nil)
    }
    write(0x14, 0xFFFF_FFFF)
    write(0x14, 0x0001_0001)
    #expect(bus.range(.port, at: 0x1_0000) == nil)
    // Over the configuration ports, which keep working.
    write(0x14, 0xCC1)
    #expect(bus.range(.port, at: 0xCF8)?.name == "pci-configuration")
    #expect(read(0) == 0x5678_1234)
  }

  @Test("a BAR may take the place of another, in either order")
  func swap() {
    write(0x04, 0x02, width: 2)
    write(0x10, 0xD000_0000)
    write(0x1C, 0xD000_2000)
    #expect(bus.range(.memory, at: 0xD000_2000)?.region == 3)
    // BAR 0 over BAR 3, which then moves away.
    write(0x10, 0xD000_2000)
    #expect(bus.range(.memory, at: 0xD000_2000)?.region == 3)
    write(0x1C, 0xD000_8000)
    #expect(bus.range(.memory, at: 0xD000_2000)?.region == 0)
    #expect(bus.range(.memory, at: 0xD000_8000)?.region == 3)
    #expect(bus.range(.memory, at: 0xD000_0000) == nil)
  }

  @Test("a BAR over another function's BAR is decoded after that one has moved")
  func takenPlace() {
    let other = PCIFunction(
      name: "other", identity: PCIIdentity(vendor: 1, device: 2, baseClass: 2, subclass: 0),
      bars: [PCIBaseAddress(kind: .memory, size: 0x1000)])
    bridge.plug(other, device: 5)
    other.attach(to: bus, line: RecordedLine(), interruptLine: 11)
    other.writeConfiguration(0x10, 0xD000_0000, width: 4)
    other.writeConfiguration(0x04, 0x02, width: 2)
    write(0x04, 0x02, width: 2)
    write(0x10, 0xD000_0000)
    #expect(bus.range(.memory, at: 0xD000_0000)?.target === other)
    bus.write(.port, 0xCF8, width: 4, UInt64(address(0x10, device: 5)))
    bus.write(.port, 0xCFC, width: 4, 0xD100_0000)
    #expect(bus.range(.memory, at: 0xD000_0000)?.target === function)
    #expect(bus.range(.memory, at: 0xD100_0000)?.target === other)
  }

  @Test("6.2.1, 6.2.4: the identity is read-only, the interrupt line a scratch register")
  func readOnly() {
    for register in stride(from: 0 as UInt32, to: 0x40, by: 4) where register != 4 { write(register, 0xFFFF_FFFF) }
    #expect(read(0) == 0x5678_1234)
    #expect(read(8) == 0x0200_0000)
    #expect(read(0x0C) == 0x0000_FFFF)
    #expect(read(0x3C, width: 2) == 0x01FF)
    write(0x3C, 11, width: 1)
    #expect(read(0x3C, width: 1) == 11)
  }

  @Test("6.2.3: the status bit shows the interrupt state, whatever bit 10 of the command register says")
  func pin() {
    function.setPin(asserted: true)
    #expect(line.changes == [true])
    #expect(read(0x06, width: 2) & 0x08 == 0x08)
    write(0x04, 0x0400, width: 2)
    #expect(line.changes == [true, false])
    #expect(read(0x06, width: 2) & 0x08 == 0x08)
    write(0x04, 0, width: 2)
    #expect(line.changes == [true, false, true])
    function.setPin(asserted: false)
    #expect(line.changes == [true, false, true, false])
    #expect(read(0x06, width: 2) & 0x08 == 0)
  }

  @Test("6.7: capabilities form a list, and bit 4 of the status announces it")
  func capabilities() {
    #expect(read(0x06, width: 2) & 0x10 == 0)
    let first = function.addCapability(0x09, [1, 2, 3], writable: [0, 0xF0])
    let second = function.addCapability(0x11, [4])
    #expect(read(0x06, width: 2) & 0x10 == 0x10)
    #expect(read(0x34, width: 1) == UInt64(first))
    #expect(first == 0x40 && second == 0x48)
    #expect(read(0x40) == 0x0201_4809)
    #expect(read(0x48, width: 2) == 0x0011)
    write(0x40, 0xFFFF_FFFF)
    #expect(read(0x40) == 0xF201_4809)
  }

  @Test("random writes anywhere in configuration space do not trap")
  func fuzz() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      bus.write(.port, 0xCF8 + random.next() % 8, width: [1, 2, 4][Int(random.next() % 3)], random.next())
      write(UInt32(random.next() & 0xFF), random.next(), width: [1, 2, 4][Int(random.next() % 3)])
      _ = read(UInt32(random.next() & 0xFF), width: [1, 2, 4][Int(random.next() % 3)])
    }
    #expect(read(0) == 0x5678_1234)
  }
}

@Suite("MSI-X (PCI 3.0, 6.8.2)")
struct MSIXTests {
  let table = MSIXTable(vectorCount: 3)
  let messages = RecordedMessages()

  init() { table.connect(messages) }

  private func program(_ vector: Int, data: UInt64, control: UInt64 = 0) {
    table.writeTable(16 * vector, width: 8, 0xFEE0_1000)
    table.writeTable(16 * vector + 8, width: 4, data)
    table.writeTable(16 * vector + 12, width: 4, control)
  }

  @Test("6.8.2.3: the capability gives the size and the places of the tables")
  func capability() {
    let (body, writable) = table.capability(bar: 1, tableOffset: 0, pendingOffset: 0x800)
    #expect(body == [2, 0, 1, 0, 0, 0, 1, 8, 0, 0])
    #expect(writable == [0, 0xC0])
  }

  @Test("6.8.2.9: all vectors start masked; accesses of 4 and 8 bytes read and write entries")
  func entries() {
    for vector in 0..<3 { #expect(table.readTable(16 * vector + 12, width: 4) == 1) }
    program(1, data: 0x41)
    #expect(table.readTable(16, width: 8) == 0xFEE0_1000)
    #expect(table.readTable(24, width: 8) == 0x41)
    for (offset, width) in [(48, 4), (44, 8), (-4, 4), (0, 1), (0, 2), (2, 4), (Int.max - 3, 4)] {
      if offset < Int.max / 2 { table.writeTable(offset, width: width, .max) }
      if offset < Int.max / 2 { #expect(table.readTable(offset, width: width) == 0) }
    }
    #expect(table.readTable(0, width: 8) == 0)
  }

  @Test("6.8.2.2: a disabled message is dropped, a masked one is pending, an unmasked one is sent once")
  func masking() {
    program(0, data: 0x40)
    #expect(!table.signal(0))
    #expect(messages.routes.isEmpty)
    table.setControl(0x8000)
    #expect(messages.routes[0] == MSIXMessage(address: 0xFEE0_1000, data: 0x40))
    #expect(messages.routes[1] == nil)
    #expect(table.signal(0))
    #expect(messages.signalled == [0])
    table.setControl(0xC000)
    #expect(messages.routes[0] == nil)
    #expect(table.signal(0))
    #expect(table.signal(0))
    #expect(table.signal(2))
    #expect(messages.signalled == [0])
    #expect(table.readPending(0, width: 8) == 0b101)
    #expect(table.readPending(4, width: 4) == 0)
    #expect(table.readPending(0x7F8, width: 8) == 0)
    table.setControl(0x8000)
    #expect(messages.signalled == [0, 0])
    #expect(table.readPending(0, width: 8) == 0b100, "its own mask bit still applies")
    program(2, data: 0x42)
    #expect(messages.signalled == [0, 0, 2])
    for vector in [-1, 3, Int.max] { #expect(!table.signal(vector)) }
  }

  @Test("a changed message gets a new route")
  func changes() {
    table.setControl(0x8000)
    program(1, data: 0x50)
    table.writeTable(24, width: 4, 0x51)
    #expect(messages.routes[1]?.data == 0x51)
  }
}
