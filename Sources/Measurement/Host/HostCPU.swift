import CLinux
import Failures
import Foundation
import Glibc
import Synchronization
import Threads

/// The CPU experiment's work on the host. It maps and calls the same bytes as the guest: its section `.cpu_work`.
package final class HostCPU: Sampled {
  private typealias Work = @convention(c) (UnsafeMutablePointer<UInt64>, UInt64) -> UInt64

  private let threads: Int
  package let rounds: UInt64
  private let code: GuestCode
  /// The result of the last sample. The guest must compute the same.
  package private(set) var checksum: UInt64 = 0

  package init(threads: Int, rounds: UInt64) throws(Failure) {
    self.threads = threads
    self.rounds = rounds
    code = try GuestCode(section: ".cpu_work")
  }

  package func close() {}

  package func sample() throws -> MeasuredSample {
    let code = code
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
        let work = unsafeBitCast(code.start, to: Work.self)
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
}
