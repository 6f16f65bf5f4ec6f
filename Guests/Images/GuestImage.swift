/// The test guest inside the executable: a PVH ELF with all programs (Docs/TestGuests.md).
public enum GuestImage {
  /// The ELF file's bytes.
  public static let bytes: [UInt8] = guestImageDigits.withUTF8Buffer { digits in
    func value(_ digit: UInt8) -> UInt8 { digit < 0x3A ? digit &- 0x30 : digit &- 0x57 }
    return (0..<digits.count / 2).map { value(digits[2 * $0]) << 4 | value(digits[2 * $0 + 1]) }
  }
}
