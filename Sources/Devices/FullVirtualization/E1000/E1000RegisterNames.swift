import Registers

/// Names of the SDM's tables 13-2 and 13-3, for a trace.
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

  /// Arrays of registers: where each begins, how many there are, and how far one is from the next.
  private static let arrays: [(name: String, first: UInt32, count: UInt32, stride: UInt32)] = [
    ("MTA", R.mta, 128, 4), ("RAL", R.ral0, 16, 8), ("RAH", R.rah0, 16, 8), ("VFTA", R.vfta, 128, 4),
    ("IP4AT", R.ip4at, 4, 8), ("IP6AT", R.ip6at, 4, 4), ("WUPM", R.wupm, 32, 4), ("FFLT", R.fflt, 4, 8),
    ("FFMT", R.ffmt, 128, 8), ("FFVT", R.ffvt, 128, 8), ("PBM", R.pbm, 16384, 4),
  ]

  /// The register at `offset` of BAR 0; nil where there is none.
  static func name(at offset: UInt32) -> String? {
    if let name = registers[offset] ?? statistics[offset] { return name }
    for array in arrays where offset >= array.first && offset < array.first + array.count * array.stride {
      if (offset - array.first) % array.stride == 0 { return "\(array.name)[\((offset - array.first) / array.stride)]" }
    }
    return nil
  }
}
