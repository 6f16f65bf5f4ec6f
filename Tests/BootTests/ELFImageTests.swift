import Boot
import Failures
import GuestMemory
import TestSupport
import Testing

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

  @Test("segments and the entry note of a 32-bit file are found")
  func thirtyTwoBits() throws {
    let image = try ELFImage(BootFile(ELFBytes.make32([ELFBytes.code, ELFBytes.noted]), name: "k"))
    #expect(image.pvhEntry == 0x10_0000)
    let segment = try #require(image.segments.first)
    #expect((segment.fileOffset, segment.fileSize) == (116, 3))
    #expect((segment.address, segment.memorySize) == (0x10_0000, 0x1000))
  }

  private static let files = [
    ELFBytes.make([ELFBytes.code, ELFBytes.noted]), ELFBytes.make32([ELFBytes.code, ELFBytes.noted]),
  ]

  @Test("a truncated file is refused and never traps", arguments: files)
  func truncated(whole: [UInt8]) {
    for count in 0..<whole.count { #expect(failure(Array(whole.prefix(count))) != nil, "\(count) bytes") }
  }

  @Test("a file with any byte set to 0, 0x7F, 0x80 or 0xFF does not trap", arguments: files)
  func mutated(whole: [UInt8]) {
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

  @Test("an error names the cause and the fix")
  func messages() {
    #expect(
      failure([UInt8](repeating: 0, count: 100)) == "load k: it is not an ELF file. Give an ELF kernel with a PVH note."
    )
    var bytes = ELFBytes.make([ELFBytes.code, ELFBytes.noted])
    bytes[4] = 1
    let kinds = "load k: it is neither a 64-bit ELF for x86-64 nor a 32-bit one for the 80386. Give an x86 kernel."
    #expect(failure(bytes) == kinds, "EM_X86_64 in ELF-32")
    bytes[4] = 2
    bytes[18] = 183
    #expect(failure(bytes) == kinds, "EM_AARCH64")
    #expect(failure(ELFBytes.make([ELFBytes.noted]))?.contains("no loadable segment") == true)
    let over: ELFBytes.Segment = (1, 0x10_0FFF, [1], 1)
    #expect(failure(ELFBytes.make([ELFBytes.code, over, ELFBytes.noted]))?.contains("overlap at 0x100fff") == true)
    #expect(failure(ELFBytes.make([(1, 0, [1, 2], 1), ELFBytes.noted]))?.contains("larger in the file") == true)
    #expect(failure(ELFBytes.make([(1, .max, [1], 2), ELFBytes.noted]))?.contains("wraps around") == true)
  }

  @Test("the error for a file without a PVH entry names its kind: a Linux kernel, another kernel, or a program")
  func withoutEntry() {
    let entry = "it has no PVH entry point (ELF note XEN_ELFNOTE_PHYS32_ENTRY)"
    #expect(
      failure(ELFBytes.make([ELFBytes.code]))
        == "load k: \(entry). Give a kernel that has one. For Linux: its vmlinuz, or a vmlinux with CONFIG_PVH=y.")
    // Name and value of 6 and 4 bytes, type 100H: Linux's build salt.
    let linux: [UInt8] = [6, 0, 0, 0, 4, 0, 0, 0, 0, 1, 0, 0] + Array("Linux".utf8) + [0, 0, 0, 1, 2, 3, 4]
    #expect(
      failure(ELFBytes.make([ELFBytes.code, (4, 0, linux, 0)]))
        == "load k: it is a Linux kernel, but \(entry). Give its vmlinuz, or build it with CONFIG_PVH=y.")
    let program = "load k: it is a program for Linux user space, not a kernel. Give a kernel: vmlinuz or vmlinux."
    let interpreter: ELFBytes.Segment = (3, 0, Array("/lib64/ld-linux-x86-64.so.2".utf8) + [0], 28)
    #expect(failure(ELFBytes.make([ELFBytes.code, interpreter])) == program, "PT_INTERP")
    #expect(failure(ELFBytes.make([ELFBytes.code, (7, 0, [0], 8)])) == program, "PT_TLS")
  }

  @Test("notes before the entry's are skipped; a wrong size ends the search")
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
