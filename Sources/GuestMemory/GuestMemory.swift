import CLinux
import Failures
import Glibc

/// The RAM of one guest. The only way to turn a guest physical address into a pointer.
///
/// RAM starts at address 0. The part that does not fit below the PCI hole (3 GiB to 4 GiB) starts at 4 GiB. The guest's
/// vCPUs may change this memory at any time, so copy a value once and then check the copy.
// Unchecked: `base` never changes, and the memory behind it is shared with the guest by design.
public final class GuestMemory: @unchecked Sendable {
  /// The end of low RAM and the start of PCI memory.
  public static let holeStart: UInt64 = 0xC000_0000
  public static let holeEnd: UInt64 = 0x1_0000_0000

  private static let hugePage = 2 << 20

  /// A contiguous range of guest physical addresses that is RAM.
  // Unchecked: `host` is a pointer into memory that is shared with the guest by design.
  public struct Region: @unchecked Sendable {
    public let guestAddress: UInt64
    public let count: Int
    public let host: UnsafeMutableRawPointer
  }

  /// Bytes of RAM in total.
  public let size: Int
  public let regions: [Region]
  private let base: UnsafeMutableRawPointer
  private let lowSize: UInt64
  private let highSize: UInt64

  /// Maps `size` bytes of zeroed memory, in transparent huge pages if the kernel has them.
  ///
  /// - Throws: `Failure` if `size` is not a positive multiple of 4 KiB, or if the host refuses it.
  public init(size: Int) throws(Failure) {
    guard size > 0, size % 4096 == 0 else {
      throw Failure("map \(size) bytes of guest memory", cause: "the size is not a positive multiple of 4096")
    }
    // Huge pages need host and guest addresses that agree modulo 2 MiB, so trim the mapping to an aligned part.
    let (length, overflow) = size.addingReportingOverflow(Self.hugePage)
    let reserved =
      overflow
      ? nil : mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let reserved, reserved != clinux_map_failed() else {
      throw Failure("map \(size >> 20) MiB of guest memory", errno: ENOMEM, fix: "Choose a smaller size with --memory.")
    }
    let mapped = reserved.alignedUp(toMultipleOf: Self.hugePage)
    if mapped > reserved { munmap(reserved, mapped - reserved) }
    munmap(mapped + size, length - size - (mapped - reserved))
    madvise(mapped, size, MADV_HUGEPAGE)
    // Keep guest memory out of core dumps: it would make them huge, and it contains the guest's secrets.
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

  /// Populates every page now, so that page faults do not distort a measurement.
  public func populate() {
    // MADV_POPULATE_WRITE. Kernels before 5.14 lack it, and populate pages on first access.
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

  /// Writes `value` at `address`. Returns false outside RAM.
  @inline(__always)
  @discardableResult
  public func store<T: BitwiseCopyable>(_ value: T, at address: UInt64) -> Bool {
    guard let slice = slice(at: address, count: MemoryLayout<T>.size) else { return false }
    slice.baseAddress.unsafelyUnwrapped.storeBytes(of: value, as: T.self)
    return true
  }

  /// Copies `bytes` to `address`. Returns false and writes nothing unless the whole range is RAM.
  @discardableResult
  public func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) -> Bool {
    guard !bytes.isEmpty else { return true }
    guard let slice = slice(at: address, count: bytes.count) else { return false }
    slice.copyMemory(from: bytes)
    return true
  }
}
