import GuestMemory

/// The contents of E0000H to FFFFFH, as a PC's firmware leaves them: the ACPI tables, and in the BIOS segment, from
/// F0000H on, the MP table, SMBIOS and the reset vector.
///
/// A kernel finds them by their signatures or fixed addresses. The boot protocols also pass the address of the RSDP.
struct FirmwareTables {
  let processors: Int

  /// Writes all of them. Returns the address of the RSDP.
  func write(into memory: GuestMemory) -> UInt64 {
    let rootPointer = ACPITables(processors: processors).write(into: memory)
    func place(_ bytes: [UInt8], at address: UInt64) { bytes.withUnsafeBytes { _ = memory.write($0, at: address) } }
    place(MPTable(processors: processors).bytes(at: BootLayout.mpTable), at: BootLayout.mpTable)
    let management = SystemManagement(processors: processors, memorySize: UInt64(memory.size))
    place(management.bytes(at: BootLayout.systemManagement), at: BootLayout.systemManagement)
    place(ResetVector.bytes, at: ResetVector.address)
    return rootPointer
  }
}
