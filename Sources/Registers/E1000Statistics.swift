/// Statistics registers of the Intel 82540EM (SDM 13.7), as byte offsets from BAR 0.
///
/// Reading a register clears it. The counters saturate at all ones.
public enum E1000Statistic {
  public static var crcerrs: UInt32 { 0x4000 }
  public static var algnerrc: UInt32 { 0x4004 }
  public static var symerrs: UInt32 { 0x4008 }
  public static var rxerrc: UInt32 { 0x400C }
  /// Missed packets: the receive packet buffer was full.
  public static var mpc: UInt32 { 0x4010 }
  public static var scc: UInt32 { 0x4014 }
  public static var ecol: UInt32 { 0x4018 }
  public static var mcc: UInt32 { 0x401C }
  public static var latecol: UInt32 { 0x4020 }
  public static var colc: UInt32 { 0x4028 }
  public static var dc: UInt32 { 0x4030 }
  public static var tncrs: UInt32 { 0x4034 }
  public static var sec: UInt32 { 0x4038 }
  public static var cexterr: UInt32 { 0x403C }
  public static var rlec: UInt32 { 0x4040 }
  public static var xonrxc: UInt32 { 0x4048 }
  public static var xontxc: UInt32 { 0x404C }
  public static var xoffrxc: UInt32 { 0x4050 }
  public static var xofftxc: UInt32 { 0x4054 }
  public static var fcruc: UInt32 { 0x4058 }
  /// Received packets of 64 bytes with FCS. Five classes follow: up to 127, 255, 511 and 1023 bytes, and larger.
  public static var prc64: UInt32 { 0x405C }
  public static var prc1522: UInt32 { 0x4070 }
  /// Good packets received.
  public static var gprc: UInt32 { 0x4074 }
  public static var bprc: UInt32 { 0x4078 }
  public static var mprc: UInt32 { 0x407C }
  /// Good packets transmitted.
  public static var gptc: UInt32 { 0x4080 }
  /// Good octets received, with FCS. 64 bits; reading the high half clears it.
  public static var gorcl: UInt32 { 0x4088 }
  public static var gorch: UInt32 { 0x408C }
  public static var gotcl: UInt32 { 0x4090 }
  public static var gotch: UInt32 { 0x4094 }
  /// Packets for which there was no receive descriptor.
  public static var rnbc: UInt32 { 0x40A0 }
  public static var ruc: UInt32 { 0x40A4 }
  public static var rfc: UInt32 { 0x40A8 }
  /// Packets that were longer than the receiver allows.
  public static var roc: UInt32 { 0x40AC }
  public static var rjc: UInt32 { 0x40B0 }
  public static var mgtprc: UInt32 { 0x40B4 }
  public static var mgtpdc: UInt32 { 0x40B8 }
  public static var mgtptc: UInt32 { 0x40BC }
  /// Total octets received, including filtered packets. 64 bits.
  public static var torl: UInt32 { 0x40C0 }
  public static var torh: UInt32 { 0x40C4 }
  public static var totl: UInt32 { 0x40C8 }
  public static var toth: UInt32 { 0x40CC }
  public static var tpr: UInt32 { 0x40D0 }
  public static var tpt: UInt32 { 0x40D4 }
  /// Transmitted packets of 64 bytes. The classes are those of the received packets.
  public static var ptc64: UInt32 { 0x40D8 }
  public static var ptc1522: UInt32 { 0x40EC }
  public static var mptc: UInt32 { 0x40F0 }
  public static var bptc: UInt32 { 0x40F4 }
  /// TCP segmentation contexts transmitted.
  public static var tsctc: UInt32 { 0x40F8 }
  /// TCP segmentation contexts that failed.
  public static var tsctfc: UInt32 { 0x40FC }
  public static var first: UInt32 { 0x4000 }
  public static var last: UInt32 { 0x40FC }
}
