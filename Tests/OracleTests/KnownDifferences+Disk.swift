extension KnownDifference {
  static let disk: [KnownDifference: Entry] = [
    .idePowerOnCode: Entry(
      device: "IDE", place: "Error after power-on", ours: "0x01, diagnostics passed", theirs: "0",
      clause: "ATA/ATAPI-6, 9.1 and 8.11", right: .swiftlet),
    .ideIdentify: Entry(
      device: "IDE",
      place: "IDENTIFY DEVICE, words 2, 4, 5, 20-24, 48, 50-52, 59, 62, 69, 80-82, 85, 88, 93, 106, 169 and 255",
      ours: "a disk of ATA/ATAPI-6", theirs: "a disk of ATA/ATAPI-4 to 7 with obsolete words",
      clause: "ATA/ATAPI-6, 8.15", right: .both),
    .ideResetInterrupt: Entry(
      device: "IDE", place: "INTRQ after SRST", ours: "released", theirs: "asserted", clause: "ATA/ATAPI-6, 9.2",
      right: .swiftlet),
    .ideDataWithoutRequest: Entry(
      device: "IDE", place: "Data register while DRQ is clear", ours: "0xFFFF", theirs: "0",
      clause: "ATA/ATAPI-6, 7.5: indeterminate", right: .both),
    .ideInterruptDisable: Entry(
      device: "IDE", place: "INTRQ of a command that ended under nIEN, after nIEN is cleared", ours: "asserted",
      theirs: "lost", clause: "ATA/ATAPI-6, 5.2.9 and 7.8", right: .swiftlet),
    .ideSeekComplete: Entry(
      device: "IDE", place: "Status bit 4 after an abort and after power commands", ours: "set", theirs: "clear",
      clause: "ATA/ATAPI-6, 7.15.4: command dependent", right: .both),
    .ideMultipleDefault: Entry(
      device: "IDE", place: "READ MULTIPLE without SET MULTIPLE MODE", ours: "aborted", theirs: "blocks of 16 sectors",
      clause: "ATA/ATAPI-6, 8.30; each agrees with its word 59", right: .both),
    .ideOutOfRange: Entry(
      device: "IDE", place: "a read beyond the end of the disk", ours: "IDNF", theirs: "ABRT, bit 4 of Status clear",
      clause: "ATA/ATAPI-6, 8.34.6", right: .swiftlet),
    .ideVerify: Entry(
      device: "IDE", place: "READ VERIFY and SEEK beyond the end of the disk", ours: "IDNF", theirs: "success",
      clause: "ATA/ATAPI-6, 8.36.6; ATA/ATAPI-5, 8.36", right: .swiftlet),
    .ideCHSCheck: Entry(
      device: "IDE", place: "a sector or cylinder outside the translation", ours: "IDNF",
      theirs: "computed anyway",
      clause: "ATA/ATAPI-5, 6.2", right: .swiftlet),
    .idePowerManagement: Entry(
      device: "IDE", place: "SET FEATURES 05h and 85h (APM)", ours: "aborted", theirs: "accepted",
      clause: "ATA/ATAPI-6, 8.46: neither reports the feature set", right: .swiftlet),
    .ideTransferModes: Entry(
      device: "IDE", place: "SET FEATURES 03h with a mode above those of words 62 to 64 and 88", ours: "aborted",
      theirs: "accepted", clause: "ATA/ATAPI-6, 8.46.11", right: .swiftlet),
    .idePowerMode: Entry(
      device: "IDE", place: "CHECK POWER MODE after STANDBY and IDLE", ours: "00h and 80h", theirs: "always FFh",
      clause: "ATA/ATAPI-6, 8.7", right: .swiftlet),
    .ideOldCommands: Entry(
      device: "IDE", place: "opcodes 27h, 3Ch, 94h to 99h, F5h and F8h", ours: "aborted", theirs: "accepted",
      clause: "ATA/ATAPI-6, 8.1: optional or retired; IDENTIFY reports none", right: .both),
    .ideReservedPorts: Entry(
      device: "IDE", place: "bus master, bytes 1 and 3", ours: "0", theirs: "FFh", clause: "1994, 2.0: reserved",
      right: .both),
    .ideWideAccess: Entry(
      device: "IDE", place: "bus master registers 0 to 3, read as a word or dword", ours: "the registers",
      theirs: "all ones", clause: "1994, 2.0: accessible as byte, word and dword", right: .swiftlet),
    .ideDirection: Entry(
      device: "IDE", place: "a transfer against BMIC bit 3", ours: "error, nothing moves",
      theirs: "the command decides", clause: "1994, 2.1: software must set it", right: .both),
    .ideBusMaster: Entry(
      device: "IDE", place: "DMA while PCI command bit 2 is clear", ours: "waits",
      theirs: "reads nothing, and interrupts",
      clause: "PCI 3.0, 6.2.2", right: .swiftlet),
  ]
}
