import Glibc
import Registers

/// The words behind BAR 0, the writable bits of each, and the registers with side effects.
///
/// Owns raw memory for speed: every exit accesses a register.
// Unchecked: the state owns its memory, and only the holder of the device's lock reaches the state.
struct E1000RegisterFile: ~Copyable, @unchecked Sendable {
  /// A plain register only stores the bits that its mask allows. The others have side effects too.
  struct Behaviour: OptionSet {
    let rawValue: UInt8
    static var actsOnRead: Self { Self(rawValue: 1) }
    static var actsOnWrite: Self { Self(rawValue: 2) }
    static var statistic: Self { Self(rawValue: 4) }
  }

  /// End of the registers that have a mask and a behaviour. Above are only plain filter tables and the packet buffer.
  private static let described = 0x6000

  private let words: UnsafeMutablePointer<UInt32>
  private let masks: UnsafeMutablePointer<UInt32>
  private let behaviours: UnsafeMutablePointer<Behaviour>

  /// - Returns: nil when the host is out of memory.
  init?() {
    // With calloc, pages of the packet buffer that the guest never touches do not become resident.
    guard let words = calloc(Int(E1000Register.memorySize / 4), 4) else { return nil }
    self.words = words.assumingMemoryBound(to: UInt32.self)
    masks = .allocate(capacity: Self.described / 4)
    masks.initialize(repeating: 0, count: Self.described / 4)
    behaviours = .allocate(capacity: Self.described / 4)
    behaviours.initialize(repeating: [], count: Self.described / 4)
    describe()
  }

  deinit {
    free(words)
    masks.deallocate()
    behaviours.deallocate()
  }

  /// The register at `offset`, which must be a constant of `E1000Register` or checked with `contains`.
  subscript(offset: UInt32) -> UInt32 {
    @inline(__always) get { words[Int(offset >> 2)] }
    @inline(__always) nonmutating set { words[Int(offset >> 2)] = newValue }
  }

  static func contains(_ offset: UInt64) -> Bool { offset < UInt64(E1000Register.memorySize) }

  @inline(__always)
  func behaviour(_ offset: UInt32) -> Behaviour { offset < Self.described ? behaviours[Int(offset >> 2)] : [] }

  /// Stores the writable bits of `value`.
  @inline(__always)
  func store(_ value: UInt32, at offset: UInt32) {
    let mask = offset < Self.described ? masks[Int(offset >> 2)] : Self.upperMask(offset)
    words[Int(offset >> 2)] = (words[Int(offset >> 2)] & ~mask) | (value & mask)
  }

  private static func upperMask(_ offset: UInt32) -> UInt32 {
    switch offset {
    case E1000Register.ffmt..<E1000Register.ffmt + 0x400: return 0x0F
    case E1000Register.ffvt..<E1000Register.ffvt + 0x400, E1000Register.pbm...: return ~0
    default: return 0
    }
  }

  /// Sets the state after power-on or CTRL.RST (SDM 14.6). CTRL.RST keeps PBA, and neither clears the packet buffer.
  func reset(powerOn: Bool) {
    let allocation = powerOn ? 0x0010_0030 : self[E1000Register.pba]
    memset(words, 0, Self.described)
    self[E1000Register.pba] = allocation
    self[E1000Register.ctrl] = E1000Control.fullDuplex | E1000Control.speed1000 | E1000Control.setLinkUp
    self[E1000Register.vet] = 0x8100
    self[E1000Register.ledctl] = 0x0706_8302
    self[E1000Register.txdmac] = 1
    self[E1000Register.tipg] = 0x0060_2008
    self[E1000Register.rxdctl] = 0x0101_0000
  }

  // MARK: Writable bits (SDM 13.4 to 13.8)

  private func describe() {
    typealias R = E1000Register
    func allow(_ mask: UInt32, _ offsets: UInt32...) { for offset in offsets { masks[Int(offset >> 2)] = mask } }
    func allow(_ mask: UInt32, from first: UInt32, count: Int, every step: Int = 4) {
      for index in 0..<count { masks[(Int(first) + index * step) >> 2] = mask }
    }
    func act(_ behaviour: Behaviour, _ offsets: UInt32...) {
      for offset in offsets { behaviours[Int(offset >> 2)].formUnion(behaviour) }
    }
    allow(0xFFFF_FFFF, R.fcal, R.tspmt, R.rdbah, R.tdbah, R.manc)
    allow(0x0000_FFFF, R.fcah, R.fct, R.vet, R.fcttv, R.aifs, R.itr, R.pba, R.rdh, R.rdt, R.rdtr, R.radv)
    allow(0x0000_FFFF, R.tdh, R.tdt, R.tidv, R.tadv)
    allow(0xFFFF_FFF0, R.rdbal, R.tdbal)
    allow(0x000F_FF80, R.rdlen, R.tdlen)
    allow(0xFFFF_DFFF, R.ctrlExt)
    allow(0xDBFC_1BE9, R.ctrl)
    allow(0xC000_FFFF, R.txcw)
    allow(0xCFCF_CFCF, R.ledctl)
    allow(0x8000_FFF8, R.fcrtl)
    allow(0x0000_FFF8, R.fcrth)
    allow(0x3FFF_FFFF, R.tipg)
    allow(0x06DF_B3FE, R.rctl)
    allow(0x033F_FFFA, R.tctl)  // Without SWXOFF, which clears itself; the device sends no pause frames.
    allow(0x013F_3F3F, R.rxdctl)
    allow(0xFF3F_3F3F, R.txdctl)
    allow(0x0000_0FFF, R.rsrpd)
    allow(0x0000_03FF, R.rxcsum)
    allow(0x0000_0001, R.txdmac)
    allow(0x0000_000F, R.wuc)
    allow(0x000F_80FF, R.wufc)
    allow(0x0001_000F, R.ipav)
    allow(0x0000_1FFF, R.rdfh, R.rdft, R.rdfhs, R.rdfts, R.rdfpc, R.tdfh, R.tdft, R.tdfhs, R.tdfts, R.tdfpc)
    allow(0xFFFF_FFFF, from: R.mta, count: 128)
    allow(0xFFFF_FFFF, from: R.vfta, count: 128)
    allow(0xFFFF_FFFF, from: R.ral0, count: 16, every: 8)
    allow(0x8003_FFFF, from: R.rah0, count: 16, every: 8)
    allow(0xFFFF_FFFF, from: R.ip4at, count: 4, every: 8)
    allow(0xFFFF_FFFF, from: R.ip6at, count: 4)
    allow(0x0000_07FF, from: R.fflt, count: 4, every: 8)

    act(.actsOnRead, R.icr, R.eecd, R.ims)
    act(.actsOnWrite, R.ctrl, R.eecd, R.eerd, R.mdic, R.icr, R.itr, R.ics, R.ims, R.imc, R.rctl, R.tctl, R.pba, R.wus)
    act(.actsOnWrite, R.rdbal, R.rdbah, R.rdlen, R.rdh, R.rdt, R.rdtr)
    act(.actsOnWrite, R.tdbal, R.tdbah, R.tdlen, R.tdh, R.tdt)
    for offset in stride(from: E1000Statistic.first, through: E1000Statistic.last, by: 4) {
      act([.statistic, .actsOnRead], offset)
    }
  }
}

/// The statistics registers (SDM 13.7): they saturate at all ones, and a read clears them.
extension E1000RegisterFile {
  /// Adds `amount` to the register at `offset`.
  @inline(__always)
  func count(_ offset: UInt32, _ amount: UInt32 = 1) {
    let (sum, overflow) = self[offset].addingReportingOverflow(amount)
    self[offset] = overflow ? ~0 : sum
  }

  /// Adds `octets` to the register pair whose low half is at `offset`.
  func countOctets(_ offset: UInt32, _ octets: UInt64) {
    let (sum, overflow) = (UInt64(self[offset]) | UInt64(self[offset + 4]) << 32).addingReportingOverflow(octets)
    self[offset] = overflow ? ~0 : UInt32(truncatingIfNeeded: sum)
    self[offset + 4] = overflow ? ~0 : UInt32(truncatingIfNeeded: sum >> 32)
  }

  /// Reads a statistic and clears it. Reading the high half of an octet count clears both halves; reading the low half
  /// clears nothing.
  func readStatistic(_ offset: UInt32) -> UInt32 {
    let value = self[offset]
    switch offset {
    case E1000Statistic.gorcl, E1000Statistic.gotcl, E1000Statistic.torl, E1000Statistic.totl: break
    case E1000Statistic.gorch, E1000Statistic.gotch, E1000Statistic.torh, E1000Statistic.toth:
      self[offset - 4] = 0
      self[offset] = 0
    default: self[offset] = 0
    }
    return value
  }

  /// The index of the size class, from PRC64 or PTC64 on, of a packet of `octets` including the FCS; 0 to 5.
  static func sizeClass(octets: Int) -> Int {
    switch octets {
    case ...64: return 0
    case ...127: return 1
    case ...255: return 2
    case ...511: return 3
    case ...1023: return 4
    default: return 5
    }
  }
}

/// Register names for a trace, from SDM tables 13-2 and 13-3.
enum E1000RegisterNames {
  private typealias R = E1000Register
  private typealias S = E1000Statistic

  private static let registers: [UInt32: String] = [
    R.ctrl: "CTRL", R.status: "STATUS", R.eecd: "EECD", R.eerd: "EERD", R.ctrlExt: "CTRL_EXT", R.fla: "FLA",
    R.mdic: "MDIC", R.fcal: "FCAL", R.fcah: "FCAH", R.fct: "FCT", R.vet: "VET", R.fcttv: "FCTTV", R.txcw: "TXCW",
    R.rxcw: "RXCW", R.ledctl: "LEDCTL", R.pba: "PBA", R.fcrtl: "FCRTL", R.fcrth: "FCRTH", R.icr: "ICR", R.itr: "ITR",
    R.ics: "ICS", R.ims: "IMS", R.imc: "IMC", R.rctl: "RCTL", R.rdbal: "RDBAL", R.rdbah: "RDBAH", R.rdlen: "RDLEN",
    R.rdh: "RDH", R.rdt: "RDT", R.rdtr: "RDTR", R.rxdctl: "RXDCTL", R.radv: "RADV", R.rsrpd: "RSRPD",
    R.rxcsum: "RXCSUM", R.tctl: "TCTL", R.tipg: "TIPG", R.aifs: "AIFS", R.txdmac: "TXDMAC", R.tdbal: "TDBAL",
    R.tdbah: "TDBAH", R.tdlen: "TDLEN", R.tdh: "TDH", R.tdt: "TDT", R.tidv: "TIDV", R.txdctl: "TXDCTL",
    R.tadv: "TADV", R.tspmt: "TSPMT", R.wuc: "WUC", R.wufc: "WUFC", R.wus: "WUS", R.manc: "MANC", R.ipav: "IPAV",
    R.wupl: "WUPL", R.rdfh: "RDFH", R.rdft: "RDFT", R.rdfhs: "RDFHS", R.rdfts: "RDFTS", R.rdfpc: "RDFPC",
    R.tdfh: "TDFH", R.tdft: "TDFT", R.tdfhs: "TDFHS", R.tdfts: "TDFTS", R.tdfpc: "TDFPC",
  ]

  private static let statistics: [UInt32: String] = [
    S.crcerrs: "CRCERRS", S.algnerrc: "ALGNERRC", S.symerrs: "SYMERRS", S.rxerrc: "RXERRC", S.mpc: "MPC",
    S.scc: "SCC", S.ecol: "ECOL", S.mcc: "MCC", S.latecol: "LATECOL", S.colc: "COLC", S.dc: "DC", S.tncrs: "TNCRS",
    S.sec: "SEC", S.cexterr: "CEXTERR", S.rlec: "RLEC", S.xonrxc: "XONRXC", S.xontxc: "XONTXC", S.xoffrxc: "XOFFRXC",
    S.xofftxc: "XOFFTXC", S.fcruc: "FCRUC", S.prc64: "PRC64", S.prc1522: "PRC1522", S.gprc: "GPRC", S.bprc: "BPRC",
    S.mprc: "MPRC", S.gptc: "GPTC", S.gorcl: "GORCL", S.gorch: "GORCH", S.gotcl: "GOTCL", S.gotch: "GOTCH",
    S.rnbc: "RNBC", S.ruc: "RUC", S.rfc: "RFC", S.roc: "ROC", S.rjc: "RJC", S.mgtprc: "MGTPRC", S.mgtpdc: "MGTPDC",
    S.mgtptc: "MGTPTC", S.torl: "TORL", S.torh: "TORH", S.totl: "TOTL", S.toth: "TOTH", S.tpr: "TPR", S.tpt: "TPT",
    S.ptc64: "PTC64", S.ptc1522: "PTC1522", S.mptc: "MPTC", S.bptc: "BPTC", S.tsctc: "TSCTC", S.tsctfc: "TSCTFC",
  ]

  /// Arrays of registers: offset of the first, number of elements, and distance in bytes between elements.
  private static let arrays: [(name: String, first: UInt32, count: UInt32, stride: UInt32)] = [
    ("MTA", R.mta, 128, 4), ("RAL", R.ral0, 16, 8), ("RAH", R.rah0, 16, 8), ("VFTA", R.vfta, 128, 4),
    ("IP4AT", R.ip4at, 4, 8), ("IP6AT", R.ip6at, 4, 4), ("WUPM", R.wupm, 32, 4), ("FFLT", R.fflt, 4, 8),
    ("FFMT", R.ffmt, 128, 8), ("FFVT", R.ffvt, 128, 8), ("PBM", R.pbm, 16384, 4),
  ]

  /// The name of the register at `offset` of BAR 0; nil if there is no register.
  static func name(at offset: UInt32) -> String? {
    if let name = registers[offset] ?? statistics[offset] { return name }
    for array in arrays where offset >= array.first && offset < array.first + array.count * array.stride {
      if (offset - array.first) % array.stride == 0 { return "\(array.name)[\((offset - array.first) / array.stride)]" }
    }
    return nil
  }
}
