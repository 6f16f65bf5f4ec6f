/// Configuration space of a PCI function (PCI Local Bus Specification 3.0, section 6.1), as byte offsets.
public enum PCIRegister {
  public static var vendorID: Int { 0x00 }
  public static var deviceID: Int { 0x02 }
  public static var command: Int { 0x04 }
  public static var status: Int { 0x06 }
  public static var revisionID: Int { 0x08 }
  public static var programmingInterface: Int { 0x09 }
  public static var subclass: Int { 0x0A }
  public static var baseClass: Int { 0x0B }
  public static var cacheLineSize: Int { 0x0C }
  public static var latencyTimer: Int { 0x0D }
  public static var headerType: Int { 0x0E }
  public static var bar0: Int { 0x10 }
  public static var subsystemVendorID: Int { 0x2C }
  public static var subsystemID: Int { 0x2E }
  public static var capabilitiesPointer: Int { 0x34 }
  public static var interruptLine: Int { 0x3C }
  public static var interruptPin: Int { 0x3D }
}

/// Bits of the command register (PCI 3.0, 6.2.2).
public enum PCICommand {
  public static var ioSpace: UInt16 { 1 << 0 }
  public static var memorySpace: UInt16 { 1 << 1 }
  public static var busMaster: UInt16 { 1 << 2 }
  /// SERR# Enable.
  public static var systemErrorEnable: UInt16 { 1 << 8 }
  public static var interruptDisable: UInt16 { 1 << 10 }
}

/// Bits of the status register (PCI 3.0, 6.2.3).
public enum PCIStatus {
  public static var interrupt: UInt16 { 1 << 3 }
  public static var capabilitiesList: UInt16 { 1 << 4 }
  /// DEVSEL# timing, bits 9 and 10: medium.
  public static var mediumSelect: UInt16 { 1 << 9 }
}

/// Capability IDs (PCI 3.0, appendix H).
public enum PCICapabilityID {
  public static var vendorSpecific: UInt8 { 0x09 }
  public static var msiX: UInt8 { 0x11 }
}

/// Configuration mechanism #1 (PCI 3.0, 3.2.2.3.2): an address latch and a data window.
public enum PCIConfigurationPort {
  public static var address: UInt16 { 0xCF8 }
  public static var data: UInt16 { 0xCFC }
  public static var enable: UInt32 { 1 << 31 }
}

/// The MSI-X capability and table (PCI 3.0, 6.8.2).
public enum MSIXRegister {
  /// Offset of Message Control in the capability.
  public static var messageControl: Int { 0x02 }
  public static var tableOffset: Int { 0x04 }
  public static var pendingOffset: Int { 0x08 }
  public static var capabilitySize: Int { 12 }
  public static var controlEnable: UInt16 { 1 << 15 }
  public static var controlFunctionMask: UInt16 { 1 << 14 }

  /// One table entry: address low, address high, data, vector control.
  public static var entrySize: Int { 16 }
  public static var entryMasked: UInt32 { 1 << 0 }
}

/// PIIX3 function 0, PIRQ route control A to D (Intel 82371SB datasheet, 2.3.4).
public enum PIIX3Register {
  public static var pirqRouteControl: Int { 0x60 }
  /// PIRQRC bit 7: the pin is not routed to the interrupt controllers.
  public static var routeDisabled: UInt8 { 0x80 }
  /// The interrupts that firmware assigns to PIRQA to D.
  public static var firmwareRoutes: [UInt8] { [10, 10, 11, 11] }

  /// The PIRQ that INTA# of `device` drives.
  public static func pirq(device: Int) -> Int { (device + 3) & 3 }
}
