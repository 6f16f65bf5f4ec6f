/// The keys of a raw terminal that go to the VMM instead of the guest, as with `qemu -nographic`.
///
/// They are Ctrl-A, then x, c or h. Ctrl-A twice sends one Ctrl-A to the guest.
struct ConsoleKeys {
  enum Key: Equatable {
    /// Goes to the guest.
    case byte(UInt8)
    case exit, monitor, help
  }

  static let escape: UInt8 = 0x01
  static let explanation = """
    Ctrl-A h    this help
    Ctrl-A x    end the machine at once
    Ctrl-A c    switch between the monitor and the guest
    Ctrl-A Ctrl-A    send Ctrl-A to the guest

    """
  private var isEscaped = false

  /// The meaning of `byte`; nil if it is the first byte of a key, or unknown after Ctrl-A.
  mutating func take(_ byte: UInt8) -> Key? {
    guard isEscaped else {
      isEscaped = byte == Self.escape
      return isEscaped ? nil : .byte(byte)
    }
    isEscaped = false
    switch byte {
    case UInt8(ascii: "x"): return .exit
    case UInt8(ascii: "c"): return .monitor
    case UInt8(ascii: "h"), UInt8(ascii: "?"): return .help
    case Self.escape: return .byte(Self.escape)
    default: return nil
    }
  }
}
