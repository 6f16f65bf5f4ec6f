import CLinux

/// The host's memcpy, with the buffers of the TSO rows: 64 of the sender, and 4 MiB of the receiver.
final class HostCopy: Sampled {
  private static let sourceStride = 65_536 + 4096
  private static let sourceCount = 64
  private static let targetSize = 256 * 16_384

  private let frameBytes: Int
  private let duration: UInt64
  private let source: UnsafeMutableRawPointer
  private let target: UnsafeMutableRawPointer

  init(frameBytes: Int, duration: UInt64) {
    self.frameBytes = min(frameBytes, Self.sourceStride)
    self.duration = duration
    source = .allocate(byteCount: Self.sourceStride * Self.sourceCount, alignment: 4096)
    target = .allocate(byteCount: Self.targetSize + Self.sourceStride, alignment: 4096)
    source.initializeMemory(as: UInt8.self, repeating: 1, count: Self.sourceStride * Self.sourceCount)
    target.initializeMemory(as: UInt8.self, repeating: 2, count: Self.targetSize + Self.sourceStride)
  }

  deinit {
    source.deallocate()
    target.deallocate()
  }

  func sample() throws -> MeasuredSample {
    var sample = MeasuredSample()
    sample.load = HostActivity.load
    let begin = clinux_monotonic_ns()
    let cpu = clinux_thread_cpu_ns()
    var place = 0
    while clinux_monotonic_ns() - begin < duration {
      let index = Int(sample.operations % UInt64(Self.sourceCount))
      (target + place).copyMemory(from: source + index * Self.sourceStride, byteCount: frameBytes)
      place = (place + frameBytes) % Self.targetSize
      sample.operations += 1
    }
    sample.nanoseconds = clinux_monotonic_ns() - begin
    sample.endpointSeconds = Double(clinux_thread_cpu_ns() - cpu) / 1e9
    sample.bytes = sample.operations * UInt64(frameBytes)
    return sample
  }

  func close() {}
}
