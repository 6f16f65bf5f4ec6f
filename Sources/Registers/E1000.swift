/// Registers of the Intel 82540EM, as byte offsets from BAR 0.
///
/// Names and offsets: *PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual* (SDM), table 13-2.
/// Registers are 32 bits wide. Only aligned 32-bit accesses are allowed (SDM 13.3).
public enum E1000Register {
  // General (SDM 13.4.1-13.4.15).
  public static var ctrl: UInt32 { 0x0000 }
  public static var status: UInt32 { 0x0008 }
  /// EEPROM/flash control and data: the pins of the Microwire EEPROM.
  public static var eecd: UInt32 { 0x0010 }
  /// EEPROM read: reads one word by number, without the pins.
  public static var eerd: UInt32 { 0x0014 }
  public static var ctrlExt: UInt32 { 0x0018 }
  public static var fla: UInt32 { 0x001C }
  /// MDI control: accesses registers of the PHY.
  public static var mdic: UInt32 { 0x0020 }
  public static var fcal: UInt32 { 0x0028 }
  public static var fcah: UInt32 { 0x002C }
  public static var fct: UInt32 { 0x0030 }
  /// VLAN Ethertype.
  public static var vet: UInt32 { 0x0038 }
  public static var fcttv: UInt32 { 0x0170 }
  public static var txcw: UInt32 { 0x0178 }
  public static var rxcw: UInt32 { 0x0180 }
  public static var ledctl: UInt32 { 0x0E00 }
  /// Packet buffer allocation: KiB for receive in bits 15:0, for transmit in bits 31:16.
  public static var pba: UInt32 { 0x1000 }
  public static var fcrtl: UInt32 { 0x2160 }
  public static var fcrth: UInt32 { 0x2168 }

  // Interrupts (SDM 13.4.17-13.4.21).
  /// Interrupt Cause Read: reading returns the causes and clears them.
  public static var icr: UInt32 { 0x00C0 }
  /// Interrupt Throttling: minimum interval between interrupts, in units of 256 ns; 0 means none.
  public static var itr: UInt32 { 0x00C4 }
  /// Interrupt Cause Set: writing raises causes.
  public static var ics: UInt32 { 0x00C8 }
  /// Interrupt Mask Set/Read: writing ones enables causes.
  public static var ims: UInt32 { 0x00D0 }
  /// Interrupt Mask Clear: writing ones disables causes.
  public static var imc: UInt32 { 0x00D8 }

  /// The pages of BAR 0 with the registers of the receive ring and of the transmit ring.
  public static var receivePage: UInt32 { 0x2000 }
  public static var transmitPage: UInt32 { 0x3000 }

  // Receive (SDM 13.4.22-13.4.32).
  public static var rctl: UInt32 { 0x0100 }
  public static var rdbal: UInt32 { 0x2800 }
  public static var rdbah: UInt32 { 0x2804 }
  /// Bytes in the receive ring, a multiple of 128.
  public static var rdlen: UInt32 { 0x2808 }
  /// Index of the next descriptor that the device uses.
  public static var rdh: UInt32 { 0x2810 }
  /// Index one past the last descriptor that the device may use.
  public static var rdt: UInt32 { 0x2818 }
  /// Receive interrupt delay, in units of 1.024 us from the last packet. Bit 31 (FPD) interrupts at once.
  public static var rdtr: UInt32 { 0x2820 }
  public static var rxdctl: UInt32 { 0x2828 }
  /// Receive interrupt absolute delay, in units of 1.024 us from the first packet.
  public static var radv: UInt32 { 0x282C }
  public static var rsrpd: UInt32 { 0x2C00 }
  public static var rxcsum: UInt32 { 0x5000 }

  // Transmit (SDM 13.4.33-13.4.46).
  public static var tctl: UInt32 { 0x0400 }
  public static var tipg: UInt32 { 0x0410 }
  public static var aifs: UInt32 { 0x0458 }
  public static var txdmac: UInt32 { 0x3000 }
  public static var tdbal: UInt32 { 0x3800 }
  public static var tdbah: UInt32 { 0x3804 }
  /// Bytes in the transmit ring, a multiple of 128.
  public static var tdlen: UInt32 { 0x3808 }
  /// Index of the next descriptor that the device sends.
  public static var tdh: UInt32 { 0x3810 }
  /// Index one past the last descriptor to send. Writing it is the doorbell.
  public static var tdt: UInt32 { 0x3818 }
  /// Transmit interrupt delay, in units of 1.024 us from the last descriptor with IDE.
  public static var tidv: UInt32 { 0x3820 }
  public static var txdctl: UInt32 { 0x3828 }
  /// Transmit absolute interrupt delay, in units of 1.024 us from the first descriptor with IDE.
  public static var tadv: UInt32 { 0x382C }
  public static var tspmt: UInt32 { 0x3830 }

  // Filters (SDM 13.5).
  /// Multicast table array: 128 registers.
  public static var mta: UInt32 { 0x5200 }
  /// Receive addresses: 16 pairs of RAL, RAH.
  public static var ral0: UInt32 { 0x5400 }
  public static var rah0: UInt32 { 0x5404 }
  /// VLAN filter table array: 128 registers.
  public static var vfta: UInt32 { 0x5600 }

  // Wake-up and management (SDM 13.6).
  public static var wuc: UInt32 { 0x5800 }
  public static var wufc: UInt32 { 0x5808 }
  public static var wus: UInt32 { 0x5810 }
  public static var manc: UInt32 { 0x5820 }
  public static var ipav: UInt32 { 0x5838 }
  /// IPv4 address table: four registers, 8 bytes apart.
  public static var ip4at: UInt32 { 0x5840 }
  public static var ip6at: UInt32 { 0x5880 }
  public static var wupl: UInt32 { 0x5900 }
  public static var wupm: UInt32 { 0x5A00 }
  public static var fflt: UInt32 { 0x5F00 }
  public static var ffmt: UInt32 { 0x9000 }
  public static var ffvt: UInt32 { 0x9800 }

  // Diagnostics (SDM 13.8).
  public static var rdfh: UInt32 { 0x2410 }
  public static var rdft: UInt32 { 0x2418 }
  public static var rdfhs: UInt32 { 0x2420 }
  public static var rdfts: UInt32 { 0x2428 }
  public static var rdfpc: UInt32 { 0x2430 }
  public static var tdfh: UInt32 { 0x3410 }
  public static var tdft: UInt32 { 0x3418 }
  public static var tdfhs: UInt32 { 0x3420 }
  public static var tdfts: UInt32 { 0x3428 }
  public static var tdfpc: UInt32 { 0x3430 }
  /// Packet buffer memory: 64 KiB.
  public static var pbm: UInt32 { 0x1_0000 }

  /// Bytes of BAR 0.
  public static var memorySize: UInt32 { 0x2_0000 }
}

/// The window in port space (SDM 13.2.2): an address latch and a data register.
public enum E1000Port {
  public static var ioaddr: UInt32 { 0x00 }
  public static var iodata: UInt32 { 0x04 }
  public static var size: UInt32 { 0x40 }
}

/// Values in the function's configuration space (SDM 4.1).
public enum E1000Identity {
  public static var vendor: UInt16 { 0x8086 }
  public static var device: UInt16 { 0x100E }
  public static var subsystem: UInt16 { 0x001E }
  public static var revision: UInt8 { 0x03 }
}

/// Limits of the 82540EM.
public enum E1000Limit {
  /// Largest packet without segmentation (SDM 3.3.3).
  public static var packetSize: Int { 16_288 }
  public static var receiveAddresses: Int { 16 }
  public static var multicastRegisters: Int { 128 }
  public static var vlanRegisters: Int { 128 }
  public static var descriptorSize: Int { 16 }
  /// Rings are allocated in granules of eight descriptors, 128 bytes (SDM 13.4.27).
  public static var ringGranule: Int { 128 }
  public static var eepromWords: Int { 64 }
}
