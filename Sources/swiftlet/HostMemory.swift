import Foundation

/// The host's memory, in bytes.
enum HostMemory {
  static var total: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// The kernel's estimate of the memory that programs can use without swapping (proc(5), MemAvailable).
  static var available: Int {
    // Files in /proc report a size of 0, so Foundation would read nothing.
    guard let file = fopen("/proc/meminfo", "r") else { return total }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .split(separator: " ")
      if words.first == "MemAvailable:", words.count > 1, let size = Int(words[1]), size <= total >> 10 {
        return size << 10
      }
    }
    return total
  }
}
