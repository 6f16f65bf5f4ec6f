import CLinux
import Failures
import Glibc
import GuestImages

/// A section of the test guest's image, mapped so that the host can call the same object code.
///
/// Such a section has no relocations and no writable data. The function to call is at its start.
// Unchecked: the mapping never changes.
final class GuestCode: @unchecked Sendable {
  let start: UnsafeRawPointer
  private let size: Int

  init(section name: String) throws(Failure) {
    guard let bytes = Self.section(name, of: GuestImage.bytes) else {
      throw Failure("run the guest's code on the host", cause: "the image has no section \(name)")
    }
    size = (bytes.count + 4095) & ~4095
    let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != clinux_map_failed() else { throw Failure("map the guest's code", errno: errno) }
    bytes.withUnsafeBytes { mapped.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(mapped), byteCount: $0.count) }
    start = UnsafeRawPointer(mapped)
    guard mprotect(mapped, size, PROT_READ | PROT_EXEC) == 0 else {
      throw Failure("make the guest's code executable", errno: errno)
    }
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: start), size) }

  /// The bytes of the section `name` of an ELF file; nil if there is none.
  static func section(_ name: String, of file: [UInt8]) -> [UInt8]? {
    file.withUnsafeBytes { bytes -> [UInt8]? in
      func word(_ offset: Int) -> Int? {
        guard offset >= 0, offset <= bytes.count - 8 else { return nil }
        return Int(exactly: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      }
      func half(_ offset: Int) -> Int? {
        guard offset >= 0, offset <= bytes.count - 2 else { return nil }
        return Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
      }
      guard let table = word(40), let size = half(58), let count = half(60), let namesIndex = half(62),
        let names = word(table + size * namesIndex + 24)
      else { return nil }
      for index in 0..<count {
        let header = table + size * index
        guard let place = word(header + 24), let length = word(header + 32), header + 4 <= bytes.count else {
          return nil
        }
        let nameStart = names + Int(bytes.loadUnaligned(fromByteOffset: header, as: UInt32.self))
        guard nameStart < bytes.count, place <= bytes.count, length <= bytes.count - place else { continue }
        if bytes[nameStart...].prefix(while: { $0 != 0 }).elementsEqual(name.utf8) {
          return Array(bytes[place..<place + length])
        }
      }
      return nil
    }
  }
}
