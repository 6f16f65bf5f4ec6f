import Boot
import Failures
import GuestMemory
import Testing

/// An ELF file by literal offsets: header of 64 bytes, program headers of 56, contents behind.
struct ELFBytes {
  typealias Segment = (type: UInt32, address: UInt64, bytes: [UInt8], memorySize: UInt64)
  /// Size of name, size of value, type 18, "Xen", the entry point.
  static let note: [UInt8] = [4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6E, 0, 0x00, 0x00, 0x10, 0]

  static func make(_ segments: [Segment]) -> [UInt8] {
    func little(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    file += little(2, 2) + little(62, 2) + little(1, 4) + little(0x10_0000, 8) + little(64, 8) + little(0, 8)
    file += little(0, 4) + little(64, 2) + little(56, 2) + little(UInt64(segments.count), 2) + little(0, 6)
    var offset = UInt64(64 + 56 * segments.count)
    for segment in segments {
      file += little(UInt64(segment.type), 4) + little(5, 4) + little(offset, 8) + little(0, 8)
      file += little(segment.address, 8) + little(UInt64(segment.bytes.count), 8) + little(segment.memorySize, 8)
      file += little(0, 8)
      offset += UInt64(segment.bytes.count)
    }
    return file + segments.flatMap(\.bytes)
  }

  static let code: Segment = (1, 0x10_0000, [0xF4, 0xEB, 0xFD], 0x1000)
  static let noted: Segment = (4, 0, note, 20)
}

@Suite("PVH kernels (ELF-64, XEN_ELFNOTE_PHYS32_ENTRY)")
struct ELFImageTests {
  private func failure(_ bytes: [UInt8]) -> String? {
    do throws(Failure) {
      _ = try ELFImage(BootFile(bytes, name: "k"))
      return nil
    } catch {
      return error.description
    }
  }

  @Test("segments and the entry note are found")
  func whole() throws {
    let image = try ELFImage(BootFile(ELFBytes.make([ELFBytes.code, ELFBytes.noted]), name: "k"))
    #expect(image.pvhEntry == 0x10_0000)
    let segment = try #require(image.segments.first)
    #expect(image.segments.count == 1)
    #expect((segment.fileOffset, segment.fileSize) == (176, 3))
    #expect((segment.address, segment.memorySize) == (0x10_0000, 0x1000))
  }

  @Test("cut anywhere it is refused, and never trapped on")
  func truncated() {
    let whole = ELFBytes.make([ELFBytes.code, ELFBytes.noted])
    for count in 0..<whole.count { #expect(failure(Array(whole.prefix(count))) != nil, "\(count) bytes") }
  }

  @Test("any byte set to 0, 0x7F, 0x80 or 0xFF is survived")
  func mutated() {
    let whole = ELFBytes.make([ELFBytes.code, ELFBytes.noted])
    for offset in whole.indices {
      for value in [0, 0x7F, 0x80, 0xFF] as [UInt8] {
        var bytes = whole
        bytes[offset] = value
        _ = failure(bytes)
        for more in offset..<min(offset + 8, bytes.count) { bytes[more] = value }
        _ = failure(bytes)
      }
    }
  }

  @Test("what is wrong is said, with what mends it")
  func messages() {
    #expect(
      failure([UInt8](repeating: 0, count: 100)) == "load k: it is not an ELF file. Give an ELF kernel with a PVH note."
    )
    var bytes = ELFBytes.make([ELFBytes.code, ELFBytes.noted])
    bytes[4] = 1
    #expect(failure(bytes)?.contains("64-bit") == true)
    #expect(
      failure(ELFBytes.make([ELFBytes.code]))
        == "load k: it has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY). Build the kernel with CONFIG_PVH=y.")
    #expect(failure(ELFBytes.make([ELFBytes.noted]))?.contains("no loadable segment") == true)
    let over: ELFBytes.Segment = (1, 0x10_0FFF, [1], 1)
    #expect(failure(ELFBytes.make([ELFBytes.code, over, ELFBytes.noted]))?.contains("overlap at 0x100fff") == true)
    #expect(failure(ELFBytes.make([(1, 0, [1, 2], 1), ELFBytes.noted]))?.contains("larger in the file") == true)
    #expect(failure(ELFBytes.make([(1, .max, [1], 2), ELFBytes.noted]))?.contains("wraps around") == true)
  }

  @Test("notes before the entry's are skipped; sizes that lie end the search")
  func notes() throws {
    let other: [UInt8] = [4, 0, 0, 0, 3, 0, 0, 0, 18, 0, 0, 0, 0x47, 0x4E, 0x55, 0, 1, 2, 3, 0]
    let image = try ELFImage(BootFile(ELFBytes.make([ELFBytes.code, (4, 0, other + ELFBytes.note, 0)]), name: "k"))
    #expect(image.pvhEntry == 0x10_0000)
    for place in [0, 4] {
      for value in [0xFF, 0x7F] as [UInt8] {
        var note = ELFBytes.note
        for index in place..<place + 4 { note[index] = value }
        #expect(failure(ELFBytes.make([ELFBytes.code, (4, 0, note, 0)]))?.contains("no PVH entry") == true)
      }
    }
  }
}
