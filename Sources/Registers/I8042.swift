/// The PC's keyboard controller, an Intel 8042 (*IBM PS/2 Hardware Interface Technical Reference*, keyboard and
/// auxiliary device controller).
public enum I8042Register {
  /// Output buffer on reads, input buffer on writes.
  public static var data: UInt16 { 0x60 }
  /// Status on reads, command on writes.
  public static var command: UInt16 { 0x64 }
}

/// Bits of the status register.
public enum I8042Status {
  /// OBF: the output buffer holds a byte.
  public static var outputBufferFull: UInt8 { 1 << 0 }
  /// SYS: the system flag of the command byte.
  public static var systemFlag: UInt8 { 1 << 2 }
  /// A2: the last write was a command.
  public static var commandWritten: UInt8 { 1 << 3 }
  /// The keyboard's lock is open.
  public static var unlocked: UInt8 { 1 << 4 }
  /// MOBF: the byte in the output buffer is from the auxiliary device.
  public static var auxiliaryData: UInt8 { 1 << 5 }
  /// TO: the device did not answer, and the byte is `I8042Answer.timeOut`.
  public static var timeOut: UInt8 { 1 << 6 }
}

/// Bits of the command byte, byte 0 of the controller's RAM.
public enum I8042CommandByte {
  public static var keyboardInterrupt: UInt8 { 1 << 0 }
  public static var auxiliaryInterrupt: UInt8 { 1 << 1 }
  public static var systemFlag: UInt8 { 1 << 2 }
  public static var disableKeyboard: UInt8 { 1 << 4 }
  public static var disableAuxiliary: UInt8 { 1 << 5 }
  /// The controller translates scan codes to those of the first PC.
  public static var translate: UInt8 { 1 << 6 }
}

/// Commands, written to port 0x64.
public enum I8042Command {
  /// The first of 32 commands that read the controller's RAM. The low five bits are the address.
  public static var readRAM: UInt8 { 0x20 }
  /// The first of 32 commands that write the next data byte to the RAM.
  public static var writeRAM: UInt8 { 0x60 }
  public static var disableAuxiliary: UInt8 { 0xA7 }
  public static var enableAuxiliary: UInt8 { 0xA8 }
  public static var testAuxiliary: UInt8 { 0xA9 }
  public static var selfTest: UInt8 { 0xAA }
  public static var testKeyboard: UInt8 { 0xAB }
  public static var disableKeyboard: UInt8 { 0xAD }
  public static var enableKeyboard: UInt8 { 0xAE }
  public static var readOutputPort: UInt8 { 0xD0 }
  public static var writeOutputPort: UInt8 { 0xD1 }
  /// The next data byte comes back as if the keyboard had sent it.
  public static var keyboardLoop: UInt8 { 0xD2 }
  /// The next data byte comes back as if the auxiliary device had sent it.
  public static var auxiliaryLoop: UInt8 { 0xD3 }
  /// The next data byte goes to the auxiliary device.
  public static var writeAuxiliary: UInt8 { 0xD4 }
  /// The first of 16 commands that pulse bits of the output port low: those of bits 0 to 3 that are 0 in the command.
  public static var pulseOutputPort: UInt8 { 0xF0 }
}

/// Answers of the controller itself.
public enum I8042Answer {
  public static var selfTestPassed: UInt8 { 0x55 }
  public static var interfacePassed: UInt8 { 0x00 }
  /// Resend: replaces the answer of a device that does not respond.
  public static var timeOut: UInt8 { 0xFE }
}

/// Bits of the output port.
public enum I8042OutputPort {
  /// The system's reset, active low.
  public static var notReset: UInt8 { 1 << 0 }
  public static var addressLine20: UInt8 { 1 << 1 }
  /// IRQ 1.
  public static var keyboardInterrupt: UInt8 { 1 << 4 }
  /// IRQ 12.
  public static var auxiliaryInterrupt: UInt8 { 1 << 5 }
}
