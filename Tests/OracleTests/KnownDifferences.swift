/// A known difference between our devices and QEMU 7.2, which the scripts show.
///
/// A step of a script names its entry. The tests fail for a difference without an entry, and also for an entry whose
/// difference no longer occurs. Then remove its case, its row in a table and its name in the scripts. Docs/Oracle.md
/// shows the same rows.
enum KnownDifference: String, CaseIterable, Sendable {
  // The UART
  case uartModemControlReset, uartDivisorReset, uartOUT2, uartTimeoutWithoutFIFO, uartTimeoutAtTrigger
  case uartTransmitReset, uartDepthWithoutFIFO
  // The real-time clock
  case rtcDaylightSaving, rtcPeriodicFlag
  // PCI
  case pciAddressReserved, pciSubsystem, pciLatencyTimer, pciIDECommand
  case unmappedMemory
  // IDE
  case idePowerOnCode, ideIdentify, ideResetInterrupt, ideDataWithoutRequest, ideInterruptDisable
  case ideSeekComplete, ideMultipleDefault, ideOutOfRange, ideVerify, ideCHSCheck, idePowerManagement
  case ideTransferModes, idePowerMode, ideReservedPorts, ideWideAccess, ideDirection, ideBusMaster
  case ideOldCommands
  // The 82540EM
  case nicControlReset, nicStatus, nicEEPROMGrant, nicResetValues, nicManagement, nicMissingRegisters, nicWriteMasks
  case nicEEPROMWords, nicPHYNegotiation, nicPHYRegisters, nicMDICAddress, nicInterruptReserved, nicStatisticWrites
  case nicQueueEmpty, nicShortFrames, nicLongFrames, nicDescriptorsLow, nicInexactFilter
  case nicLegacyChecksum, nicEmptySegment, nicReceiveSizes, nicTagOctets, nicTotalPackets
  case nicLoopbackReceive, nicUDPSegmentation, nicUnaskedChecksums

  /// The side that behaves as the specification requires.
  enum Verdict: String, Sendable {
    case swiftlet
    case both
    case neither
    /// swiftlet must be fixed, and then the entry is removed.
    case qemu = "QEMU - to fix"
    /// swiftlet omits it on purpose: no driver uses it, and each attempt is counted.
    case leftOut = "QEMU - left out"
  }

  struct Entry: Sendable {
    var device: String
    /// The register or the condition.
    var place: String
    var ours: String
    var theirs: String
    var clause: String
    var right: Verdict
  }

  /// The case's row; nil only if the row is missing, which a test reports.
  var entry: Entry? { Self.platform[self] ?? Self.disk[self] ?? Self.nic[self] }

  /// The entry as a row of the table in Docs/Oracle.md.
  var row: String {
    guard let entry else { return "\(rawValue) has no entry" }
    let cells = [entry.device, entry.place, entry.ours, entry.theirs, entry.clause, entry.right.rawValue]
    return (["| `\(rawValue)`"] + cells).joined(separator: " | ") + " |"
  }
}
