import GuestMemory
import Registers

/// The ACPI tables of this machine (ACPI 6.4, chapter 5): RSDP, XSDT, FADT with FACS and DSDT, and MADT.
///
/// They describe a PC with fixed ACPI registers, a PM timer, PICs, an IOAPIC and a PIIX3. There is no HPET, because
/// guests of KVM have better clocks.
struct ACPITables {
  let processors: Int

  /// Writes the tables. Returns the address of the RSDP.
  func write(into memory: GuestMemory) -> UInt64 {
    var next = BootLayout.acpiTables.lowerBound
    func place(_ bytes: [UInt8]) -> UInt64 {
      let address = next
      bytes.withUnsafeBytes { _ = memory.write($0, at: address) }
      // A FACS must be aligned to 64 bytes.
      next = (next + UInt64(bytes.count) + 63) & ~63
      return address
    }
    let rootPointer = place([UInt8](repeating: 0, count: 36))
    let facs = place(Self.facs)
    let dsdt = place(Self.table("DSDT", revision: 2, DifferentiatedDescription.aml))
    let fadt = place(Self.fadt(facs: facs, dsdt: dsdt))
    let madt = place(madt)
    let xsdt = place(Self.table("XSDT", revision: 1, little(fadt, 8) + little(madt, 8)))
    Self.rootPointer(xsdt: xsdt).withUnsafeBytes { _ = memory.write($0, at: rootPointer) }
    return rootPointer
  }

  // MARK: Tables

  /// RSDP (5.2.5.3), with a checksum over the first 20 bytes and one over all.
  private static func rootPointer(xsdt: UInt64) -> [UInt8] {
    var bytes = Array("RSD PTR ".utf8) + [0] + vendor + [2] + little(0, 4) + little(36, 4) + little(xsdt, 8)
    bytes += [0, 0, 0, 0]
    bytes[8] = bytes.prefix(20).checksum
    bytes[32] = bytes.checksum
    return bytes
  }

  /// FACS (5.2.10): only its length and version, for a system that never sleeps.
  private static var facs: [UInt8] {
    Array("FACS".utf8) + little(64, 4) + [UInt8](repeating: 0, count: 24) + [2] + [UInt8](repeating: 0, count: 31)
  }

  /// FADT (5.2.9), revision 6.
  private static func fadt(facs: UInt64, dsdt: UInt64) -> [UInt8] {
    var body = [UInt8](repeating: 0, count: 276 - 36)
    func set(_ offset: Int, _ value: UInt64, _ count: Int) {
      body.replaceSubrange(offset - 36..<offset - 36 + count, with: little(value, count))
    }
    set(36, facs, 4)
    set(40, dsdt, 4)
    set(46, UInt64(ACPIFixedRegister.interrupt), 2)
    // SMI_CMD is 0: the machine is always in ACPI mode.
    set(56, UInt64(ACPIFixedRegister.eventBlock), 4)
    set(64, UInt64(ACPIFixedRegister.controlBlock), 4)
    set(76, UInt64(ACPIFixedRegister.timerBlock), 4)
    set(88, UInt64(ACPIFixedRegister.eventLength), 1)  // PM1_EVT_LEN
    set(89, UInt64(ACPIFixedRegister.controlLength), 1)  // PM1_CNT_LEN
    set(91, UInt64(ACPIFixedRegister.timerLength), 1)  // PM_TMR_LEN
    set(96, 0xFFFF, 2)  // no C2
    set(98, 0xFFFF, 2)  // no C3
    set(108, UInt64(RealTimeClockRegister.century), 1)  // the century in the RTC's CMOS
    // ISA devices; an 8042; no VGA; no ASPM.
    set(109, 0x0001 | 0x0002 | 0x0004 | 0x0010, 2)
    // WBINVD works; C1 works on all; a power button in PM1; no sleep button; the RTC does not wake; a PM timer of 32
    // bits; a reset register.
    set(112, 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10, 4)
    // RESET_REG and X_PM_TMR_BLK: I/O ports of 8 and of 32 bits (5.2.3.2).
    body.replaceSubrange(116 - 36..<128 - 36, with: [1, 8, 0, 1] + little(PIIX3ResetControl.port, 8))
    body.replaceSubrange(208 - 36..<220 - 36, with: [1, 32, 0, 3] + little(ACPIFixedRegister.timerBlock, 8))
    set(128, UInt64(PIIX3ResetControl.systemReset | PIIX3ResetControl.resetCPU), 1)
    set(131, 4, 1)  // minor version
    set(132, facs, 8)  // X_FIRMWARE_CTRL
    set(140, dsdt, 8)  // X_DSDT
    return table("FACP", revision: 6, body)
  }

  /// MADT (5.2.12): vCPUs, one IOAPIC, and the differences from ISA's wiring.
  private var madt: [UInt8] {
    let sci = UInt8(truncatingIfNeeded: ACPIFixedRegister.interrupt)
    var body = little(InterruptController.localAPIC, 4) + little(1, 4)  // there are PICs too
    for index in 0..<processors {
      let number = UInt8(truncatingIfNeeded: index)
      body += [0, 8, number, number] + little(1, 4)
    }
    body += [1, 12, InterruptController.ioAPICIdentifier, 0] + little(InterruptController.ioAPIC, 4) + little(0, 4)
    body += Self.override(0, gsi: InterruptController.timerPin, flags: InterruptFlags.conforming)
    body += Self.override(sci, gsi: sci, flags: InterruptFlags.levelHigh)
    for gsi in Set(PIIX3Register.firmwareRoutes).sorted() {
      body += Self.override(gsi, gsi: gsi, flags: InterruptFlags.levelLow)
    }
    body += [4, 6, 0xFF, 0, 0, 1]  // LINT1 of every processor is NMI
    return Self.table("APIC", revision: 5, body)
  }

  private static func override(_ source: UInt8, gsi: UInt8, flags: UInt16) -> [UInt8] {
    [2, 10, 0, source] + little(gsi, 4) + little(flags, 2)
  }

  // MARK: Encoding

  private static let vendor = Array("SWIFTL".utf8)

  /// A table with its header (5.2.6) and checksum.
  private static func table(_ signature: String, revision: UInt8, _ body: [UInt8]) -> [UInt8] {
    var bytes = Array(signature.utf8) + little(UInt64(body.count + 36), 4) + [revision, 0] + vendor
    bytes += Array("SWIFTLET".utf8) + little(1, 4) + Array("SWFT".utf8) + little(1, 4) + body
    bytes[9] = bytes.checksum
    return bytes
  }
}
