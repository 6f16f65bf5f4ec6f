/// The keys by which a person at a raw terminal reaches the VMM instead of the guest, as with `qemu -nographic`: Ctrl-A,
/// then x, c, h, or Ctrl-A again for the guest's own Ctrl-A.
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
    Ctrl-A c    to the monitor, and back to the guest
    Ctrl-A Ctrl-A    send Ctrl-A to the guest

    """
  private var isEscaped = false

  /// What `byte` means; nil for one that only begins a key, or that is no key behind Ctrl-A.
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
