import GuestMemory
import Registers

/// The AML of the DSDT. It describes hardware that a guest cannot probe: the PCI bus with its windows and interrupts,
/// the devices of the ISA bus, and the sleep type for power off.
enum DifferentiatedDescription {
  static var aml: [UInt8] {
    AML.scope("\\_SB", [AML.device("PCI0", hostBridge + [AML.device("ISA", [address(device: 1)] + isaDevices)])])
      // Sleep types for the control blocks PM1a and PM1b. There is no PM1b.
      + AML.name("\\_S5", AML.package([AML.integer(UInt32(ACPIFixedRegister.sleepTypeS5)), AML.integer(0)]))
  }

  private static func address(device: UInt32, function: UInt32 = 0) -> [UInt8] {
    AML.name("_ADR", AML.integer(device << 16 | function))
  }

  private static var hostBridge: [[UInt8]] {
    [
      AML.name("_HID", AML.eisaID("PNP0A03")),
      AML.name(
        "_CRS",
        AML.resources([
          AML.wordWindow(2, 0...0),
          AML.ports(0xCF8, count: 8),
          AML.wordWindow(1, 0...0xCF7),
          AML.wordWindow(1, 0xD00...0xFFFF),
          AML.memoryWindow(UInt32(GuestMemory.holeStart)...0xFEBF_FFFF),
        ])),
      AML.name("_PRT", AML.package(interruptRoutes)),
    ]
  }

  /// The GSI of INTA# of each slot, by the firmware's routing of the PIRQs. No function here has another pin.
  private static var interruptRoutes: [[UInt8]] {
    (1..<32 as Range<UInt32>).map { device in
      let gsi = PIIX3Register.firmwareRoutes[PIIX3Register.pirq(device: Int(device))]
      return AML.package([
        AML.integer(device << 16 | 0xFFFF), AML.integer(0), AML.integer(0), AML.integer(UInt32(gsi)),
      ])
    }
  }

  private static var isaDevices: [[UInt8]] {
    [
      isaDevice("RTC", "PNP0B00", [AML.ports(0x70, count: 2), AML.interrupt(8)]),
      isaDevice("KBD", "PNP0303", [AML.ports(0x60, count: 1), AML.ports(0x64, count: 1), AML.interrupt(1)]),
      isaDevice("COM1", "PNP0501", [AML.ports(0x3F8, count: 8), AML.interrupt(4)]),
      // Ports that no driver may use.
      isaDevice(
        "MISC", "PNP0C02",
        [
          AML.ports(UInt32(ACPIFixedRegister.eventBlock), count: UInt32(ACPIFixedRegister.portCount)),
          AML.ports(0x4D0, count: 2),
        ]),
      AML.device(
        "PEVT",
        [
          AML.name("_HID", AML.string("QEMU0001")),
          AML.name("_CRS", AML.resources([AML.ports(UInt32(PanicDeviceRegister.port), count: 1)])),
        ]),
    ]
  }

  private static func isaDevice(_ name: String, _ identifier: String, _ resources: [[UInt8]]) -> [UInt8] {
    AML.device(name, [AML.name("_HID", AML.eisaID(identifier)), AML.name("_CRS", AML.resources(resources))])
  }
}
