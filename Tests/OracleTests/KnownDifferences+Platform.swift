extension KnownDifference {
  static let platform: [KnownDifference: Entry] = [
    .uartModemControlReset: Entry(
      device: "UART", place: "MCR after a reset", ours: "0", theirs: "OUT2 set", clause: "PC16550D, table I",
      right: .swiftlet),
    .uartDivisorReset: Entry(
      device: "UART", place: "divisor latch at power-on", ours: "1", theirs: "12",
      clause: "PC16550D, table I: no value",
      right: .both),
    .uartOUT2: Entry(
      device: "UART", place: "INTR while OUT2 is clear", ours: "disconnected", theirs: "drives IRQ 4",
      clause: "IBM PC AT Technical Reference: OUT2 gates the interrupt", right: .swiftlet),
    .uartTimeoutWithoutFIFO: Entry(
      device: "UART", place: "IIR without FIFOs, a byte waits", ours: "0x4", theirs: "0xC, time-out",
      clause: "PC16550D, table IV: FIFO mode only", right: .swiftlet),
    .uartTimeoutAtTrigger: Entry(
      device: "UART", place: "IIR, trigger level reached and time-out past", ours: "0x4", theirs: "0xC",
      clause: "PC16550D, table IV: the same priority", right: .both),
    .uartTransmitReset: Entry(
      device: "UART", place: "FCR bit 2 while the transmitter is empty and enabled", ours: "no interrupt",
      theirs: "transmitter empty again", clause: "PC16550D, 8.5 and table IV: unspecified", right: .both),
    .uartDepthWithoutFIFO: Entry(
      device: "UART", place: "two bytes without FIFOs", ours: "overrun, the second stays", theirs: "both wait",
      clause: "PC16550D, 8.4: OE; one holding register", right: .swiftlet),
    .rtcDaylightSaving: Entry(
      device: "RTC", place: "register B, DSE", ours: "reads 0", theirs: "kept, does nothing",
      clause: "MC146818A, register B", right: .neither),
    .rtcPeriodicFlag: Entry(
      device: "RTC", place: "register C, PF while PIE is clear", ours: "set by each period", theirs: "stays clear",
      clause: "MC146818A, register C: independent of PIE", right: .swiftlet),
    .pciAddressReserved: Entry(
      device: "PCI", place: "0xCF8, bits 30:24 and 1:0", ours: "read 0", theirs: "kept",
      clause: "PCI 3.0, 3.2.2.3.2", right: .swiftlet),
    .pciSubsystem: Entry(
      device: "PCI", place: "subsystem IDs", ours: "none, 8086:001E for the NIC", theirs: "1AF4:1100",
      clause: "82371SB and 82441FX: reserved; 82540EM SDM, 4.1", right: .swiftlet),
    .pciLatencyTimer: Entry(
      device: "PCI", place: "latency timer", ours: "8 bits", theirs: "read-only 0",
      clause: "82540EM: 8 bits; 82371SB IDE: bits 7:4; 82441FX: bits 7:3", right: .neither),
    .pciIDECommand: Entry(
      device: "PCI", place: "PIIX3 IDE, command bits 1 and 8", ours: "read 0", theirs: "kept",
      clause: "82371SB, 2.3.3: hardwired to 0", right: .swiftlet),
    .unmappedMemory: Entry(
      device: "PCI", place: "memory where nothing answers", ours: "all ones", theirs: "0",
      clause: "PCI 3.0, 3.7.1: master abort", right: .swiftlet),
  ]
}
