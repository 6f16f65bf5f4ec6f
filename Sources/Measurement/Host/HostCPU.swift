import CLinux
import Failures
import Foundation
import Glibc
import GuestImages
import Synchronization
import Threads

/// The CPU experiment's work on the host. It maps and calls the same bytes as the guest: its section `.cpu_work`.
package final class HostCPU: Sampled {
  private typealias Work = @convention(c) (UnsafeMutablePointer<UInt64>, UInt64) -> UInt64

  private let threads: Int
  package let rounds: UInt64
  private let code: UnsafeMutableRawPointer
  private let codeSize: Int
  /// The result of the last sample. The guest must compute the same.
  package private(set) var checksum: UInt64 = 0

  package init(threads: Int, rounds: UInt64) throws(Failure) {
    self.threads = threads
    self.rounds = rounds
    guard let bytes = Self.section(".cpu_work", of: GuestImage.bytes) else {
      throw Failure("run the guest's CPU work on the host", cause: "the image has no section .cpu_work")
    }
    codeSize = (bytes.count + 4095) & ~4095
    let mapped = mmap(nil, codeSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != clinux_map_failed() else { throw Failure("map the CPU work", errno: errno) }
    bytes.withUnsafeBytes { mapped.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(mapped), byteCount: $0.count) }
    code = mapped
    guard mprotect(mapped, codeSize, PROT_READ | PROT_EXEC) == 0 else {
      throw Failure("make the CPU work executable", errno: errno)
    }
  }

  deinit { munmap(code, codeSize) }

  package func close() {}

  package func sample() throws -> MeasuredSample {
    let address = UInt(bitPattern: code)
    let rounds = rounds
    let threads = threads
    let processors = ProcessInfo.processInfo.activeProcessorCount
    let total = Atomic<UInt64>(0)
    let sum = Atomic<UInt64>(0)
    let begin = clinux_monotonic_ns()
    let workers = (0..<threads).map { index in
      BackgroundThread {
        // Unpinned new threads may share a core for a whole short sample. A guest's vCPUs have had time to spread.
        if threads > 1 { clinux_pin_current_thread(Int32(index % processors)) }
        guard let pointer = UnsafeRawPointer(bitPattern: address) else { return }
        let work = unsafeBitCast(pointer, to: Work.self)
        let buffer = UnsafeMutablePointer<UInt64>.allocate(capacity: 4096)
        let result = work(buffer, rounds)
        buffer.deallocate()
        if index == 0 { sum.store(result, ordering: .relaxed) }
        total.add(clinux_thread_cpu_ns(), ordering: .relaxed)
      }
    }
    for worker in workers { worker.start() }
    for worker in workers { worker.join() }
    var sample = MeasuredSample()
    sample.nanoseconds = clinux_monotonic_ns() - begin
    sample.operations = rounds * UInt64(threads)
    sample.vCPUSeconds = Double(total.load(ordering: .relaxed)) / 1e9
    sample.load = HostActivity.load
    checksum = sum.load(ordering: .relaxed)
    sample.values["checksum"] = checksum
    return sample
  }

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
