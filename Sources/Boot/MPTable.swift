import Registers

/// The MP table (Intel MultiProcessor Specification 1.4, chapter 4): processors and interrupt wiring for an operating
/// system that does not use ACPI, such as Linux with `acpi=off` or `pci=noacpi`.
///
/// It agrees with the MADT and the DSDT. The ID of a local APIC is the number of its vCPU. The ID of the IOAPIC is 0,
/// as in its register.
struct MPTable {
  let processors: Int

  private enum Entry {
    static let processor: UInt8 = 0
    static let bus: UInt8 = 1
    static let ioAPIC: UInt8 = 2
    static let ioInterrupt: UInt8 = 3
    static let localInterrupt: UInt8 = 4
  }
  private enum Kind {
    static let vectored: UInt8 = 0
    static let nonMaskable: UInt8 = 1
    static let externalPIC: UInt8 = 3
  }
  private static let pciBus: UInt8 = 0
  private static let isaBus: UInt8 = 1
  private static let everyProcessor: UInt8 = 0xFF

  /// The floating pointer structure, followed by the configuration table, for the address `place`, a multiple of 16.
  func bytes(at place: UInt64) -> [UInt8] {
    // 4.1: one paragraph long, version 1.4, checksum, features: a configuration table, and no IMCR.
    var pointer = Array("_MP_".utf8) + little(place + 16, 4) + [1, 4, 0, 0, 0, 0, 0, 0]
    pointer[10] = pointer.checksum
    return pointer + table
  }

  /// 4.2: the header and the base table.
  private var table: [UInt8] {
    let entries = processorEntries + Self.busEntries + Self.interruptEntries
    let body = Array(entries.joined())
    var table = Array("PCMP".utf8) + little(UInt64(44 + body.count), 2) + [4, 0]
    table += padded("SWIFTLET", 8) + padded("SWIFTLET", 12)
    table += little(0, 4) + little(0, 2)  // no OEM table
    table += little(entries.count, 2) + little(InterruptController.localAPIC, 4)
    table += little(0, 4)  // no extended table
    table += body
    table[7] = table.checksum
    return table
  }

  /// 4.3.1: all processors are enabled, and the first is the bootstrap processor.
  private var processorEntries: [[UInt8]] {
    (0..<processors).map { index in
      let flags: UInt8 = index == 0 ? 3 : 1
      // A signature of family 6, and the features FPU and APIC. An operating system gets the rest from CPUID.
      return [Entry.processor, UInt8(truncatingIfNeeded: index), 0x14, flags] + little(0x600, 4) + little(0x201, 4)
        + little(0, 8)
    }
  }

  /// 4.3.2 and 4.3.3.
  private static var busEntries: [[UInt8]] {
    [
      [Entry.bus, pciBus] + padded("PCI", 6),
      [Entry.bus, isaBus] + padded("ISA", 6),
      // Version 11H; enabled.
      [Entry.ioAPIC, InterruptController.ioAPICIdentifier, 0x11, 1] + little(InterruptController.ioAPIC, 4),
    ]
  }

  private static var interruptEntries: [[UInt8]] {
    let sci = UInt8(truncatingIfNeeded: ACPIFixedRegister.interrupt)
    // IRQ 2 is the cascade of the second PIC, and only PCI uses the interrupts of the PIRQs.
    let isISA = { (interrupt: UInt8) in interrupt != 2 && !PIIX3Register.firmwareRoutes.contains(interrupt) }
    let isa = (0..<16 as Range<UInt8>).filter(isISA).map { interrupt in
      ioInterrupt(
        bus: isaBus, interrupt, pin: interrupt == 0 ? InterruptController.timerPin : interrupt,
        flags: interrupt == sci ? InterruptFlags.levelHigh : InterruptFlags.conforming)
    }
    // 4.3.4, table 4-11 and D.3: the device in bits 2 to 6, and 0 for INTA#. No function here has another pin.
    let pci = (1..<32 as Range<UInt8>).map { device in
      ioInterrupt(
        bus: pciBus, device << 2, pin: PIIX3Register.firmwareRoutes[PIIX3Register.pirq(device: Int(device))],
        flags: InterruptFlags.levelLow)
    }
    return isa + pci + [
      [Entry.localInterrupt, Kind.externalPIC, 0, 0, isaBus, 0, everyProcessor, 0],
      [Entry.localInterrupt, Kind.nonMaskable, 0, 0, isaBus, 0, everyProcessor, 1],
    ]
  }

  private static func ioInterrupt(bus: UInt8, _ interrupt: UInt8, pin: UInt8, flags: UInt16) -> [UInt8] {
    [Entry.ioInterrupt, Kind.vectored] + little(flags, 2)
      + [bus, interrupt, InterruptController.ioAPICIdentifier, pin]
  }
}

/// Polarity and trigger mode. The MP table (4.3.4) and the MADT (ACPI 6.4, table 5.28) have the same encoding.
enum InterruptFlags {
  /// As the bus specifies.
  static let conforming: UInt16 = 0x0000
  static let levelHigh: UInt16 = 0x000D
  static let levelLow: UInt16 = 0x000F
}

/// The interrupt controllers' addresses and wiring, for the MADT and the MP table.
enum InterruptController {
  static let localAPIC: UInt32 = 0xFEE0_0000
  static let ioAPIC: UInt32 = 0xFEC0_0000
  static let ioAPICIdentifier: UInt8 = 0
  /// The IOAPIC's pin for ISA's IRQ 0, the timer; pin 0 is not connected (`InterruptRouting`).
  static let timerPin: UInt8 = 2
}
