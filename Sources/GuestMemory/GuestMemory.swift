import CLinux
import Failures
import Glibc

/// The RAM of one guest, as the VMM sees it: the only way from a guest physical address to a pointer.
///
/// RAM below the hole for PCI (3 GiB to 4 GiB) starts at address 0; what does not fit there starts at 4 GiB.
/// The guest's vCPUs change this memory at any time, so a value is read once, copied, and then checked.
// Unchecked: `base` never changes, and the memory behind it is shared with the guest by design.
public final class GuestMemory: @unchecked Sendable {
  /// Where RAM stops and PCI memory begins.
  public static let holeStart: UInt64 = 0xC000_0000
  public static let holeEnd: UInt64 = 0x1_0000_0000

  private static let hugePage = 2 << 20

  /// A contiguous range of guest physical addresses that RAM answers.
  // Unchecked: `host` is a pointer into memory that is shared with the guest by design.
  public struct Region: @unchecked Sendable {
    public let guestAddress: UInt64
    public let count: Int
    public let host: UnsafeMutableRawPointer
  }

  /// Bytes of RAM in all.
  public let size: Int
  public let regions: [Region]
  private let base: UnsafeMutableRawPointer
  private let lowSize: UInt64
  private let highSize: UInt64

  /// Maps `size` bytes of zeroed memory, in transparent huge pages where the kernel has them.
  ///
  /// - Throws: `Failure` when `size` is not a positive multiple of 4 KiB or the host refuses it.
  public init(size: Int) throws(Failure) {
    guard size > 0, size % 4096 == 0 else {
      throw Failure("map \(size) bytes of guest memory", cause: "not a positive multiple of 4096")
    }
    // Huge pages need host and guest addresses that agree modulo 2 MiB, so the map is cut to an aligned piece.
    let (length, overflow) = size.addingReportingOverflow(Self.hugePage)
    let reserved =
      overflow
      ? nil : mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let reserved, reserved != clinux_map_failed() else {
      throw Failure("map \(size >> 20) MiB of guest memory", errno: ENOMEM, fix: "Ask for less with --memory.")
    }
    let mapped = reserved.alignedUp(toMultipleOf: Self.hugePage)
    if mapped > reserved { munmap(reserved, mapped - reserved) }
    munmap(mapped + size, length - size - (mapped - reserved))
    madvise(mapped, size, MADV_HUGEPAGE)
    // A core dump of the VMM is for its own state: guest memory would make it huge, and holds the guest's secrets.
    madvise(mapped, size, MADV_DONTDUMP)
    self.size = size
    base = mapped
    lowSize = min(UInt64(size), Self.holeStart)
    highSize = UInt64(size) - lowSize
    var regions = [Region(guestAddress: 0, count: Int(lowSize), host: mapped)]
    if highSize > 0 {
      regions.append(Region(guestAddress: Self.holeEnd, count: Int(highSize), host: mapped + Int(lowSize)))
    }
    self.regions = regions
  }

  deinit { munmap(base, size) }

  /// Gives every page to the guest now, so that a measurement does not pay for first touches.
  public func populate() {
    // MADV_POPULATE_WRITE; kernels before 5.14 lack it, and then pages come as they are touched.
    madvise(base, size, 23)
  }

  /// The `count` bytes at `address`, or nil unless all of them are RAM of one region. Zero bytes are always nil.
  @inline(__always)
  public func slice(at address: UInt64, count: Int) -> UnsafeMutableRawBufferPointer? {
    guard count > 0 else { return nil }
    let length = UInt64(count)
    if address < lowSize {
      guard length <= lowSize - address else { return nil }
      return UnsafeMutableRawBufferPointer(start: base + Int(address), count: count)
    }
    guard address >= Self.holeEnd else { return nil }
    let offset = address - Self.holeEnd
    guard offset < highSize, length <= highSize - offset else { return nil }
    return UnsafeMutableRawBufferPointer(start: base + Int(lowSize + offset), count: count)
  }

  /// A copy of the value at `address`, or nil outside RAM.
  @inline(__always)
  public func load<T: BitwiseCopyable>(_ type: T.Type = T.self, at address: UInt64) -> T? {
    guard let slice = slice(at: address, count: MemoryLayout<T>.size) else { return nil }
    return UnsafeRawPointer(slice.baseAddress.unsafelyUnwrapped).loadUnaligned(as: T.self)
  }

  /// Writes `value` at `address`; false outside RAM.
  @inline(__always)
  @discardableResult
  public func store<T: BitwiseCopyable>(_ value: T, at address: UInt64) -> Bool {
    guard let slice = slice(at: address, count: MemoryLayout<T>.size) else { return false }
    slice.baseAddress.unsafelyUnwrapped.storeBytes(of: value, as: T.self)
    return true
  }

  /// Copies `bytes` to `address`; false, and nothing written, unless all of it is RAM.
  @discardableResult
  public func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) -> Bool {
    guard !bytes.isEmpty else { return true }
    guard let slice = slice(at: address, count: bytes.count) else { return false }
    slice.copyMemory(from: bytes)
    return true
  }
}
