import Boot
import Testing

@Suite("SMBIOS (DMTF DSP0134 2.8)")
struct SMBIOSTests {
  /// One structure: its formatted area and its strings.
  private struct Structure {
    var bytes: [UInt8]
    var strings: [String]

    var handle: Int { number(2, 2) }

    func number(_ offset: Int, _ count: Int) -> Int {
      bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    /// The string whose number is at `offset`.
    func text(_ offset: Int) -> String? {
      let index = Int(bytes[offset])
      return strings.indices.contains(index - 1) ? strings[index - 1] : nil
    }
  }

  private func structures(_ loaded: LoadedMemory) throws -> [Structure] {
    let entry = loaded.bytes(try #require(loaded.find("_SM_")), 31)
    let place = entry[24..<28].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let table = loaded.bytes(place, Int(entry[22]) | Int(entry[23]) << 8)
    var structures: [Structure] = []
    var position = 0
    while position < table.count {
      let formatted = Array(table[position..<position + Int(table[position + 1])])
      position += formatted.count
      var strings: [String] = []
      while table[position] != 0 {
        let text = table[position...].prefix { $0 != 0 }
        strings.append(String(decoding: text, as: UTF8.self))
        position += text.count + 1
      }
      position += strings.isEmpty ? 2 : 1
      structures.append(Structure(bytes: formatted, strings: strings))
    }
    return structures
  }

  @Test("5.2.1: the entry point has version 2.8 and checksums of all 31 and of the last 15 bytes")
  func entryPoint() throws {
    let loaded = try LoadedMemory()
    let entry = loaded.bytes(try #require(loaded.find("_SM_")), 31)
    #expect(entry[5...7].elementsEqual([31, 2, 8]))
    #expect(entry.reduce(0, &+) == 0)
    #expect(entry[16..<21].elementsEqual("_DMI_".utf8))
    #expect(entry[16...].reduce(0, &+) == 0)
    let all = try structures(loaded)
    #expect(Int(entry[28]) | Int(entry[29]) << 8 == all.count)
    #expect(all.allSatisfy { $0.bytes.count <= Int(entry[8]) | Int(entry[9]) << 8 })
  }

  @Test("6.2: BIOS, system, chassis, processor and memory exist, each handle is unique, and the end is last")
  func types() throws {
    let all = try structures(try LoadedMemory())
    #expect(all.map { $0.bytes[0] } == [0, 1, 3, 4, 16, 17, 127])
    #expect(Set(all.map(\.handle)).count == all.count)
  }

  @Test("7.1 and 7.2: the system has a name, and its firmware reports a virtual machine")
  func names() throws {
    let all = try structures(try LoadedMemory())
    #expect(all[0].text(4) == "swiftlet")
    // Extension byte 2, bit 4.
    #expect(all[0].bytes[19] & 0x10 != 0)
    // Linux may ignore the PCI windows of firmware dated before 2008.
    #expect(all[0].text(8).map { $0.hasPrefix("01/01/20") } == true)
    #expect(all[1].text(4) == "swiftlet")
    #expect(all[1].text(5) == "KVM virtual machine")
  }

  @Test("7.5: the processor has as many cores as there are vCPUs", arguments: [1, 4, 255])
  func processor(count: Int) throws {
    let processor = try structures(try LoadedMemory(processors: count))[3]
    // Core count, cores enabled, thread count; 0 would mean unknown.
    #expect(processor.bytes[0x23...0x25].elementsEqual([UInt8](repeating: UInt8(count), count: 3)))
  }

  @Test("7.17 and 7.18: array and device give the memory size; from 32 GiB - 1 MiB on, in the extended field")
  func memory() throws {
    let all = try structures(try LoadedMemory(size: 64 << 20))
    #expect(all[4].number(7, 4) == 64 << 10)
    #expect(all[5].number(4, 2) == all[4].handle)
    #expect(all[5].number(12, 2) == 64)
    let large = try structures(try LoadedMemory(size: 32 << 30))
    #expect(large[4].number(7, 4) == 32 << 20)
    #expect(large[5].number(12, 2) == 0x7FFF)
    #expect(large[5].number(28, 4) == 32 << 10)
  }
}
