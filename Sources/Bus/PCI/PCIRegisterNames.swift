import Registers

extension PCIRegister {
  private static let names: [Int: String] = [
    vendorID: "Vendor ID", deviceID: "Device ID", command: "Command", status: "Status", revisionID: "Revision ID",
    programmingInterface: "Class Code", cacheLineSize: "Cache Line Size", latencyTimer: "Latency Timer",
    headerType: "Header Type", subsystemVendorID: "Subsystem Vendor ID", subsystemID: "Subsystem ID",
    capabilitiesPointer: "Capabilities Pointer", interruptLine: "Interrupt Line", interruptPin: "Interrupt Pin",
  ]

  /// The name of the register at `offset` in PCI 3.0, figure 6-1.
  static func name(at offset: Int) -> String {
    if let name = names[offset] { return name }
    if offset >= bar0, offset < bar0 + 24 { return "Base Address \((offset - bar0) / 4)" }
    return "+0x\(String(offset, radix: 16))"
  }
}
