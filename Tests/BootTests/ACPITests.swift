import GuestMemory
import Testing

@testable import Boot

@Suite("ACPI tables (ACPI 6.4, chapter 5)")
struct ACPITableTests {
  private let memory: GuestMemory
  private let root: UInt64

  init() throws {
    memory = try GuestMemory(size: 2 << 20)
    root = ACPITables(processors: 3).write(into: memory)
  }

  private func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
    memory.slice(at: address, count: count).map { Array($0) } ?? []
  }

  /// A whole table of the length that its header gives; its bytes add up to 0.
  private func table(_ address: UInt64, _ signature: String) throws -> [UInt8] {
    let length = try #require(memory.load(UInt32.self, at: address + 4))
    let all = bytes(address, Int(length))
    #expect(all.prefix(4).elementsEqual(signature.utf8))
    #expect(all.reduce(0, &+) == 0)
    return all
  }

  private func number(_ table: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    table[offset..<offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The tables that the XSDT names.
  private func tables() throws -> [UInt64] {
    let xsdt = try table(number(bytes(root, 36), 24, 8), "XSDT")
    return stride(from: 36, to: xsdt.count, by: 8).map { number(xsdt, $0, 8) }
  }

  @Test("the RSDP is in the BIOS area and has revision 2 and both checksums (5.2.5.3)")
  func rootPointer() {
    #expect(root == 0xE_0000)
    let pointer = bytes(root, 36)
    #expect(pointer.prefix(8).elementsEqual("RSD PTR ".utf8))
    #expect(pointer[15] == 2)
    #expect(pointer.prefix(20).reduce(0, &+) == 0)
    #expect(pointer.reduce(0, &+) == 0)
    #expect(number(pointer, 20, 4) == 36)
  }

  @Test("the FADT has PM1a at 600H and 604H, the SCI at 9, an 8042, and the reset register CF9H (5.2.9)")
  func fixedDescription() throws {
    let fadt = try table(try #require(tables().first), "FACP")
    #expect(fadt.count == 276)
    #expect(number(fadt, 46, 2) == 9)
    #expect(number(fadt, 48, 4) == 0)
    #expect(number(fadt, 56, 4) == 0x600)
    #expect(number(fadt, 64, 4) == 0x604)
    #expect([fadt[88], fadt[89], fadt[91]] == [4, 2, 4])
    #expect(number(fadt, 109, 2) & 0x16 == 0x16)
    #expect(number(fadt, 112, 4) & 1 << 10 != 0)
    #expect(fadt[116..<128].elementsEqual([1, 8, 0, 1, 0xF9, 0x0C, 0, 0, 0, 0, 0, 0]))
    #expect(fadt[128] == 0x06)
    let facs = bytes(number(fadt, 36, 4), 64)
    #expect(facs.prefix(8).elementsEqual(Array("FACS".utf8) + [64, 0, 0, 0]))
    #expect(number(fadt, 36, 4) % 64 == 0)
    _ = try table(number(fadt, 40, 4), "DSDT")
    #expect(number(fadt, 132, 8) == number(fadt, 36, 4), "X_FIRMWARE_CTRL")
    #expect(number(fadt, 140, 8) == number(fadt, 40, 4), "X_DSDT")
  }

  @Test("the FADT has a PM timer of 32 bits at 608H (5.2.9, TMR_VAL_EXT)")
  func powerManagementTimer() throws {
    let fadt = try table(try #require(tables().first), "FACP")
    #expect(number(fadt, 76, 4) == 0x608)
    #expect(fadt[91] == 4)
    #expect(number(fadt, 112, 4) & 1 << 8 != 0)
    #expect(fadt[208..<220].elementsEqual([1, 32, 0, 3, 0x08, 0x06, 0, 0, 0, 0, 0, 0]))
  }

  @Test("the MADT has every vCPU, the IOAPIC, IRQ 0 at its pin 2, and level-triggered 9, 10 and 11 (5.2.12)")
  func interruptControllers() throws {
    let madt = try table(try #require(tables().last), "APIC")
    #expect(number(madt, 36, 4) == 0xFEE0_0000)
    #expect(number(madt, 40, 4) & 1 == 1)
    var entries: [[UInt8]] = []
    var position = 44
    while position < madt.count {
      let length = Int(madt[position + 1])
      entries.append(Array(madt[position..<position + length]))
      position += length
    }
    #expect(
      entries == [
        [0, 8, 0, 0, 1, 0, 0, 0], [0, 8, 1, 1, 1, 0, 0, 0], [0, 8, 2, 2, 1, 0, 0, 0],
        [1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0],
        [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        [2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0], [2, 10, 0, 10, 10, 0, 0, 0, 0x0F, 0], [2, 10, 0, 11, 11, 0, 0, 0, 0x0F, 0],
        [4, 6, 0xFF, 0, 0, 1],
      ])
  }

  @Test("255 vCPUs stay within the BIOS area")
  func many() {
    _ = ACPITables(processors: 255).write(into: memory)
    #expect(memory.load(UInt8.self, at: 0xF_FFFF) == 0)
    #expect(memory.load(UInt8.self, at: 0x10_0000) == 0)
  }
}

@Suite("AML (ACPI 6.4, chapter 20, and 6.4 for resources)")
struct AMLTests {
  @Test("integers take the shortest form (20.2.3)")
  func integers() {
    #expect(AML.integer(0) == [0x00])
    #expect(AML.integer(1) == [0x01])
    #expect(AML.integer(2) == [0x0A, 2])
    #expect(AML.integer(0xFF) == [0x0A, 0xFF])
    #expect(AML.integer(0x100) == [0x0B, 0x00, 0x01])
    #expect(AML.integer(0x1_FFFF) == [0x0C, 0xFF, 0xFF, 0x01, 0x00])
  }

  @Test("names are padded, rooted and joined (20.2.2)")
  func names() {
    #expect(AML.path("\\_SB") == Array("\\_SB_".utf8))
    #expect(AML.path("_SB.PCI0") == [0x2E] + Array("_SB_PCI0".utf8))
    #expect(AML.name("_ADR", [0x01]) == [0x08] + Array("_ADR".utf8) + [0x01])
  }

  @Test("a package's length counts itself in one, two and three bytes (20.2.4)")
  func lengths() {
    // One byte holds at most 0x3F: the byte itself, the number of elements, and 61 elements.
    #expect(AML.package(Array(repeating: [0], count: 61)).prefix(3).elementsEqual([0x12, 0x3F, 61]))
    #expect(AML.package(Array(repeating: [0], count: 62)).prefix(4).elementsEqual([0x12, 0x41, 0x04, 62]))
    let long = AML.scope("AAAA", [[UInt8](repeating: 0xA3, count: 0x1000)])
    #expect(long.prefix(4).elementsEqual([0x10, 0x87, 0x00, 0x01]))
    #expect(long.count == 1 + 0x1007)
  }

  @Test("PNP0A03 is 41D0H 0A03H, byte-swapped (6.1.5)")
  func eisaID() { #expect(AML.eisaID("PNP0A03") == [0x0C, 0x41, 0xD0, 0x0A, 0x03]) }

  @Test("ports, interrupts and windows are the descriptors of 6.4.2.5, 6.4.2.1 and 6.4.3.5")
  func resources() {
    #expect(AML.ports(0x3F8, count: 8) == [0x47, 0x01, 0xF8, 0x03, 0xF8, 0x03, 0x01, 0x08])
    #expect(AML.interrupt(8) == [0x22, 0x00, 0x01])
    #expect(
      AML.wordWindow(1, 0xD00...0xFFFF) == [
        0x88, 0x0D, 0x00, 0x01, 0x0C, 0x03, 0, 0, 0x00, 0x0D, 0xFF, 0xFF, 0, 0, 0x00, 0xF3,
      ])
    #expect(AML.resources([]) == [0x11, 0x05, 0x0A, 0x02, 0x79, 0x00])
  }
}
