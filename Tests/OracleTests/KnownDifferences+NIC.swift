extension KnownDifference {
  static let nic: [KnownDifference: Entry] = [
    .nicControlReset: Entry(
      device: "82540EM", place: "CTRL after power-on: FD, SWDPIN", ours: "FD", theirs: "pins 0 and 2",
      clause: "SDM 13.4.1: loaded from the EEPROM", right: .both),
    .nicStatus: Entry(
      device: "82540EM", place: "STATUS", ours: "ASDV 10b, FD as forced by CTRL",
      theirs: "ASDV 11b, bits 10, 19 and 31 set, FD fixed",
      clause: "SDM 13.4.2: reserved bits; 10b and 11b are 1000 Mb/s",
      right: .swiftlet),
    .nicEEPROMGrant: Entry(
      device: "82540EM", place: "EECD: EE_GNT without EE_REQ, FWE", ours: "no grant, FWE 01b", theirs: "grant, FWE 00b",
      clause: "SDM 13.4.3", right: .swiftlet),
    .nicResetValues: Entry(
      device: "82540EM", place: "TIPG, LEDCTL, RXDCTL and TXDMAC after power-on", ours: "the manual's values",
      theirs: "0, LEDCTL 0x602", clause: "SDM 13.4.15, 13.4.34 and 14.6", right: .swiftlet),
    .nicManagement: Entry(
      device: "82540EM", place: "MANC", ours: "0, all bits kept", theirs: "0x222300, read-only",
      clause: "SDM 13.6.8: loaded from the EEPROM", right: .both),
    .nicMissingRegisters: Entry(
      device: "82540EM", place: "FCAL, FCAH, FCT, FCTTV, TXCW, TIPG, FCRTL, FCRTH, RXDCTL, TIDV and RXCSUM",
      ours: "kept", theirs: "read 0", clause: "SDM 13.4", right: .swiftlet),
    .nicWriteMasks: Entry(
      device: "82540EM", place: "reserved bits of VET, LEDCTL, RDBAL, TDBAL, WUFC, IPAV, RCTL, TCTL and RAH",
      ours: "read 0", theirs: "kept", clause: "SDM 13.4 and 13.5", right: .swiftlet),
    .nicEEPROMWords: Entry(
      device: "82540EM", place: "EEPROM words 5 to 11, 16 to 36, 48 to 50 and 63", ours: "unused, or swiftlet's",
      theirs: "those of one specific card", clause: "SDM 5.6: a vendor's choice", right: .both),
    .nicPHYNegotiation: Entry(
      device: "82540EM", place: "PHY registers 1, 5 and 6 after power-on", ours: "negotiation is complete",
      theirs: "not yet", clause: "SDM 8, IEEE 802.3 clause 28", right: .both),
    .nicPHYRegisters: Entry(
      device: "82540EM", place: "PHY registers 7, 8, 11 to 15, 18, 19 and 22 to 31", ours: "answer",
      theirs: "MDIC.E", clause: "SDM 8 and 13.4.6", right: .swiftlet),
    .nicMDICAddress: Entry(
      device: "82540EM", place: "MDIC with another PHY's address", ours: "the written fields, and E",
      theirs: "the fields of the previous access", clause: "SDM 13.4.6", right: .swiftlet),
    .nicInterruptReserved: Entry(
      device: "82540EM", place: "ICS reads; bits 17 to 31 of ICR and IMS", ours: "0", theirs: "kept",
      clause: "SDM 13.4.17 to 13.4.20: write-only; reserved", right: .swiftlet),
    .nicStatisticWrites: Entry(
      device: "82540EM", place: "FCRUC (0x4058) is written", ours: "ignored", theirs: "kept", clause: "SDM 13.7",
      right: .swiftlet),
    .nicQueueEmpty: Entry(
      device: "82540EM", place: "ICR.TXQE when TCTL.EN is set on an empty ring", ours: "clear", theirs: "set",
      clause: "SDM 13.4.17: the last descriptor was processed", right: .swiftlet),
    .nicShortFrames: Entry(
      device: "82540EM", place: "frames below 60 bytes with TCTL.PSP", ours: "padded", theirs: "sent as they are",
      clause: "SDM 13.4.33", right: .swiftlet),
    .nicLongFrames: Entry(
      device: "82540EM", place: "frames of 1519 to 1522 bytes without FCS, LPE clear", ours: "rejected",
      theirs: "received", clause: "SDM 13.4.22: 1522 bytes with FCS", right: .swiftlet),
    .nicDescriptorsLow: Entry(
      device: "82540EM", place: "ICR.RXDMT0 while free descriptors are below the threshold",
      ours: "once, as they reach it",
      theirs: "with each frame", clause: "SDM 13.4.22, RDMTS: becomes equal", right: .swiftlet),
    .nicInexactFilter: Entry(
      device: "82540EM", place: "PIF of a frame that the multicast table or a promiscuous mode admitted", ours: "set",
      theirs: "clear", clause: "SDM 3.2.3.1", right: .swiftlet),
    .nicLegacyChecksum: Entry(
      device: "82540EM", place: "IC of a legacy descriptor", ours: "checksum inserted", theirs: "ignored",
      clause: "SDM 3.3.3.1", right: .swiftlet),
    .nicEmptySegment: Entry(
      device: "82540EM", place: "TCP segmentation of a multiple of MSS", ours: "full segments",
      theirs: "one more segment, without payload", clause: "SDM 3.5.1", right: .swiftlet),
    .nicTagOctets: Entry(
      device: "82540EM", place: "GORC, GOTC, TOR and TOT of tags that the device inserts or strips", ours: "counted",
      theirs: "not counted", clause: "SDM 13.7: as on the wire", right: .swiftlet),
    .nicTotalPackets: Entry(
      device: "82540EM", place: "TPR and TOR of frames that no filter admits", ours: "counted", theirs: "not counted",
      clause: "SDM 13.7: all packets received", right: .swiftlet),
    .nicLoopbackReceive: Entry(
      device: "82540EM", place: "frames from the wire while the PHY loops back", ours: "not received",
      theirs: "received",
      clause: "SDM 8, PHY register 0 bit 14: isolated from the wire", right: .swiftlet),
    .nicUDPSegmentation: Entry(
      device: "82540EM", place: "TSE with TUCMD.TCP clear", ours: "dropped", theirs: "UDP segments",
      clause: "SDM 3.5.9: the UDP length and checksum are updated", right: .leftOut),
    .nicUnaskedChecksums: Entry(
      device: "82540EM", place: "TSE without IXSM and TXSM", ours: "checksums are inserted", theirs: "left as they are",
      clause: "SDM 3.3.7.3", right: .leftOut),
    .nicReceiveSizes: Entry(
      device: "82540EM", place: "PRC64 and PRC127 under SECRC", ours: "lengths with FCS", theirs: "lengths without",
      clause: "SDM 13.7", right: .swiftlet),
  ]
}
