import Testing

@Suite("The MP table (Intel MultiProcessor Specification 1.4, chapter 4)")
struct MPTableTests {
  /// The configuration table that the floating pointer names.
  private func table(_ loaded: LoadedMemory) throws -> [UInt8] {
    let pointer = loaded.bytes(try #require(loaded.find("_MP_")), 16)
    let place = pointer[4..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let header = loaded.bytes(place, 44)
    return loaded.bytes(place, Int(header[4]) | Int(header[5]) << 8)
  }

  /// The entries: a processor has 20 bytes, any other 8.
  private func entries(_ table: [UInt8]) -> [[UInt8]] {
    var entries: [[UInt8]] = []
    var position = 44
    while position < table.count {
      let count = table[position] == 0 ? 20 : 8
      entries.append(Array(table[position..<min(position + count, table.count)]))
      position += count
    }
    return entries
  }

  @Test("4.1: the floating pointer is in the BIOS segment, has version 1.4, and its bytes add up to 0")
  func floatingPointer() throws {
    let loaded = try LoadedMemory()
    let pointer = loaded.bytes(try #require(loaded.find("_MP_")), 16)
    #expect(pointer[8...9].elementsEqual([1, 4]))
    #expect(pointer.reduce(0, &+) == 0)
    // No default configuration; virtual wire mode, so no IMCR.
    #expect(pointer[11..<16].elementsEqual([0, 0, 0, 0, 0]))
  }

  @Test("4.2: the header has PCMP, its length, the number of entries and the local APICs' address")
  func header() throws {
    let table = try table(try LoadedMemory(processors: 3))
    #expect(table.prefix(4).elementsEqual("PCMP".utf8))
    #expect(table[6] == 4)
    #expect(table.reduce(0, &+) == 0)
    #expect(Int(table[34]) | Int(table[35]) << 8 == entries(table).count)
    #expect(table[36..<40].elementsEqual([0, 0, 0xE0, 0xFE]))
  }

  @Test("4.3.1: every vCPU is enabled, the first is the bootstrap processor", arguments: [1, 3, 255])
  func processors(count: Int) throws {
    let processors = entries(try table(try LoadedMemory(processors: count))).filter { $0[0] == 0 }
    #expect(processors.map { Int($0[1]) } == Array(0..<count))
    #expect(processors.map { $0[3] } == [3] + Array(repeating: 1, count: count - 1))
    // FPU and APIC.
    #expect(processors.allSatisfy { $0[8] & 1 == 1 && $0[9] & 2 == 2 })
  }

  @Test("4.3.2 and 4.3.3: bus 0 is PCI, bus 1 ISA; the IOAPIC is enabled")
  func busesAndIOAPIC() throws {
    let all = entries(try table(try LoadedMemory()))
    #expect(all.filter { $0[0] == 1 } == [[1, 0] + Array("PCI   ".utf8), [1, 1] + Array("ISA   ".utf8)])
    #expect(all.filter { $0[0] == 2 } == [[2, 0, 0x11, 1, 0, 0, 0xC0, 0xFE]])
  }

  @Test("4.3.4: ISA interrupts have their own pins, except IRQ 0 on pin 2, and 9 is the level-triggered SCI")
  func isaInterrupts() throws {
    let isa = entries(try table(try LoadedMemory())).filter { $0[0] == 3 && $0[4] == 1 }
    #expect(isa.map { $0[5] } == [0, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15])
    #expect(isa.map { $0[7] } == [2, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15])
    #expect(isa.allSatisfy { $0[1] == 0 && $0[3] == 0 && $0[6] == 0 })
    #expect(isa.map { $0[2] } == [0, 0, 0, 0, 0, 0, 0, 0, 0x0D, 0, 0, 0, 0])
  }

  @Test("4.3.4: INTA# of device n is PIRQ (n - 1) mod 4 of the PIIX3, and these are 10, 10, 11 and 11")
  func pciInterrupts() throws {
    let pci = entries(try table(try LoadedMemory())).filter { $0[0] == 3 && $0[4] == 0 }
    #expect(pci.map { $0[5] } == (1..<32).map { $0 << 2 })
    #expect(pci.prefix(5).map { $0[7] } == [10, 10, 11, 11, 10])
    // Active low and level-triggered.
    #expect(pci.allSatisfy { $0[1] == 0 && $0[2] == 0x0F && $0[3] == 0 && $0[6] == 0 })
  }

  @Test("4.3.5: the PIC is at LINT0 of every processor, NMI at LINT1")
  func localInterrupts() throws {
    let local = entries(try table(try LoadedMemory())).filter { $0[0] == 4 }
    #expect(local == [[4, 3, 0, 0, 1, 0, 0xFF, 0], [4, 1, 0, 0, 1, 0, 0xFF, 1]])
  }
}
