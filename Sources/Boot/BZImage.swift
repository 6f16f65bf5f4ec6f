import Failures
import GuestMemory

/// A Linux kernel as distributions ship it: a setup header and a self-extracting kernel (Linux x86 boot protocol).
///
/// Parses an untrusted file: every offset is checked against the file before it is used.
package struct BZImage: Sendable {
  /// Offsets of the setup header's fields, in the file and in the boot parameters.
  enum Field {
    static let setupSectors = 0x1F1
    static let systemSize = 0x1F4
    static let bootFlag = 0x1FE
    static let jump = 0x200
    static let magic = 0x202
    static let version = 0x206
    static let loaderType = 0x210
    static let ramdiskAddress = 0x218
    static let ramdiskSize = 0x21C
    static let commandLine = 0x228
    static let ramdiskLimit = 0x22C
    static let extendedLoadFlags = 0x236
    static let commandLineSize = 0x238
    static let preferredAddress = 0x258
    static let initialSize = 0x260
  }

  let file: BootFile
  /// The first `headSize` bytes of the file, or fewer if it is shorter.
  let head: [UInt8]
  /// The part of `head` that is copied to the boot parameters: from 0x1F1 to the end of the setup header.
  let header: Range<Int>
  /// The protected-mode kernel: the part of the file that is loaded.
  let payload: Range<Int>
  /// The preferred load address.
  let address: UInt64
  /// Bytes of memory that the kernel needs from `address` on before it reads the memory map.
  let initialSize: UInt64
  /// Maximum length of a command line in bytes, with its final zero.
  let maximumCommandLine: Int
  /// The first address past the memory that the initial RAM disk may use.
  let ramdiskLimit: UInt64

  /// The largest possible end of the setup header.
  static let headSize = 0x290

  /// Whether `head` has the magic numbers of a setup header.
  static func isOne(_ head: [UInt8]) -> Bool {
    head.count >= 0x206 && head[Field.bootFlag] == 0x55 && head[Field.bootFlag + 1] == 0xAA
      && head[Field.magic..<Field.magic + 4].elementsEqual("HdrS".utf8)
  }

  init(_ file: BootFile, head: [UInt8]) throws(Failure) {
    let action = "load \(file.name)"
    let truncated = Failure(action, cause: "the file is truncated", fix: "Copy it again from its package.")
    // The last field that is read here ends at 0x264.
    guard head.count >= 0x264 else { throw truncated }
    func number<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
      head.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self)) }
    }
    // Version 2.12 (Linux 3.8) added the 64-bit entry point. Bit 0 of xloadflags announces it.
    guard number(Field.version, UInt16.self) >= 0x020C, number(Field.extendedLoadFlags, UInt16.self) & 1 != 0 else {
      throw Failure(
        action, cause: "it is a 32-bit kernel, or older than Linux 3.8",
        fix: "Give an amd64 kernel. Check it with: file \(file.name)")
    }
    let setupSectors = Int(number(Field.setupSectors, UInt8.self))
    let start = ((setupSectors == 0 ? 4 : setupSectors) + 1) * 512
    let size = UInt64(number(Field.systemSize, UInt32.self)) * 16
    // The size is in units of 16 bytes, so the last unit of the file may be incomplete.
    guard size > 512, UInt64(file.count) + 15 >= UInt64(start) + size else { throw truncated }
    payload = start..<min(file.count, start + Int(size))
    header = Field.setupSectors..<min(Field.magic + Int(head[Field.jump + 1]), head.count)
    address = number(Field.preferredAddress, UInt64.self)
    initialSize = max(UInt64(number(Field.initialSize, UInt32.self)), size)
    maximumCommandLine = Int(number(Field.commandLineSize, UInt32.self).clamped(to: 0...2047)) + 1
    ramdiskLimit = UInt64(number(Field.ramdiskLimit, UInt32.self)) + 1
    // The kernel must not overlap the PCI hole, which is never RAM.
    guard address >= 0x10_0000, address < GuestMemory.holeStart, initialSize <= GuestMemory.holeStart - address,
      header.count > 0
    else {
      throw Failure(
        action, cause: "its header is damaged: its load address is 0x\(String(address, radix: 16))",
        fix: "Copy it again from its package.")
    }
    self.file = file
    self.head = head
  }
}

extension Comparable {
  fileprivate func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
