import Boot
import Testing

@Suite("The end of the BIOS segment, where a processor starts after a reset (SDM 3, 9.1.4)")
struct ResetVectorTests {
  @Test("FFFF0H jumps to code that writes 02H and then 06H to the reset register CF9H")
  func vector() throws {
    let loaded = try LoadedMemory()
    #expect(loaded.bytes(0xF_FFF0, 5) == [0xEA, 0xE0, 0xFF, 0x00, 0xF0], "jmp F000:FFE0")
    #expect(
      loaded.bytes(0xF_FFE0, 13) == [
        0xBA, 0xF9, 0x0C, 0xB0, 0x02, 0xEE, 0xB0, 0x06, 0xEE, 0xFA, 0xF4, 0xEB, 0xFC,
      ], "mov dx, CF9H; mov al, 2; out dx, al; mov al, 6; out dx, al; cli; hlt; jmp back to the cli")
  }

  @Test("the firmware's date and the model byte of an AT follow the jump")
  func dateAndModel() throws {
    let loaded = try LoadedMemory()
    #expect(loaded.bytes(0xF_FFF5, 8).elementsEqual("01/01/26".utf8))
    #expect(loaded.bytes(0xF_FFFE, 1) == [0xFC])
  }

  @Test("no table reaches FFFE0H, not even with 255 vCPUs")
  func tablesEnd() throws {
    let loaded = try LoadedMemory(processors: 255)
    #expect(loaded.bytes(0xF_FF00, 0xE0).allSatisfy { $0 == 0 })
    #expect(loaded.bytes(0xE_FF00, 0x100).allSatisfy { $0 == 0 }, "ACPI's tables end before the BIOS segment")
    #expect(loaded.bytes(0x10_0000, 1) == [0xF4], "the kernel")
  }
}
