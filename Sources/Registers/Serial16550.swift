/// Registers of the 16550A UART, as offsets from its base port (National PC16550D datasheet, table II).
public enum Serial16550Register {
  /// Receiver buffer on reads, transmitter holding on writes; divisor latch low with DLAB.
  public static var data: UInt64 { 0 }
  /// Interrupt enable; divisor latch high with DLAB.
  public static var interruptEnable: UInt64 { 1 }
  /// Interrupt identification on reads, FIFO control on writes.
  public static var interruptIdentification: UInt64 { 2 }
  public static var lineControl: UInt64 { 3 }
  public static var modemControl: UInt64 { 4 }
  public static var lineStatus: UInt64 { 5 }
  public static var modemStatus: UInt64 { 6 }
  public static var scratch: UInt64 { 7 }
}
