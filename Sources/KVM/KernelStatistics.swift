import CLinux
import Glibc

/// The binary statistics of one vCPU (KVM_GET_STATS_FD): counters by name.
public final class KernelStatistics: Sendable {
  private let descriptor: Int32
  /// Byte offset of each counter's value in the file.
  private let offsets: [String: Int]

  init?(descriptor: Int32) {
    var header = kvm_stats_header()
    guard pread(descriptor, &header, MemoryLayout<kvm_stats_header>.size, 0) == MemoryLayout<kvm_stats_header>.size,
      header.num_desc < 4096, header.name_size < 1024
    else {
      close(descriptor)
      return nil
    }
    let stride = MemoryLayout<kvm_stats_desc>.size + Int(header.name_size)
    var table = [UInt8](repeating: 0, count: stride * Int(header.num_desc))
    let got = pread(descriptor, &table, table.count, off_t(header.desc_offset))
    guard got == table.count else {
      close(descriptor)
      return nil
    }
    var offsets: [String: Int] = [:]
    table.withUnsafeBytes { bytes in
      for index in 0..<Int(header.num_desc) {
        let entry = bytes.loadUnaligned(fromByteOffset: index * stride, as: kvm_stats_desc.self)
        let name = bytes[(index * stride + MemoryLayout<kvm_stats_desc>.size)..<((index + 1) * stride)]
        offsets[String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)] =
          Int(header.data_offset) + Int(entry.offset)
      }
    }
    self.descriptor = descriptor
    self.offsets = offsets
  }

  deinit { close(descriptor) }

  public var names: [String] { offsets.keys.sorted() }

  /// The current value of a counter; nil if this kernel has no such counter.
  public subscript(name: String) -> UInt64? {
    guard let offset = offsets[name] else { return nil }
    var value: UInt64 = 0
    return pread(descriptor, &value, 8, off_t(offset)) == 8 ? value : nil
  }
}
