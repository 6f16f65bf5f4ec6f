import CLinux
import Failures
import Glibc
import GuestMemory
import Threads
import Workload

/// The host's baseline for raw frames: the same stream, filled and verified in the same way, over a socketpair.
package final class HostLoopback: Sampled {
  private let frameBytes: Int
  private let duration: UInt64

  package init(frameBytes: Int, duration: UInt64) {
    self.frameBytes = frameBytes
    self.duration = duration
  }

  package func sample() throws -> MeasuredSample {
    var sockets: [Int32] = [0, 0]
    try systemCall("create a socketpair") { socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &sockets) }
    defer { for socket in sockets { Glibc.close(socket) } }
    let receiver = sockets[1]
    let result = Guarded<(frames: UInt64, wrong: UInt64, cpu: UInt64)>(.leaf, (0, 0, 0))
    let thread = BackgroundThread {
      let outcome = Self.receive(receiver)
      result.withLock { $0 = outcome }
    }
    thread.start()
    var sample = MeasuredSample()
    let begin = clinux_monotonic_ns()
    let cpu = clinux_thread_cpu_ns()
    let sent = try send(sockets[0], until: begin + duration)
    shutdown(sockets[0], Int32(SHUT_WR))
    thread.join()
    sample.nanoseconds = clinux_monotonic_ns() - begin
    let outcome = result.withLock { $0 }
    guard outcome.frames == sent, outcome.wrong == 0 else {
      throw Failure(
        "stream over a socketpair",
        cause: "\(sent) frames were sent, \(outcome.frames) arrived, and \(outcome.wrong) were wrong")
    }
    sample.operations = sent
    sample.bytes = sent * UInt64(frameBytes)
    sample.endpointSeconds = Double(clinux_thread_cpu_ns() - cpu + outcome.cpu) / 1e9
    sample.load = HostActivity.load
    return sample
  }

  package func close() {}

  private func send(_ socket: Int32, until deadline: UInt64) throws -> UInt64 {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: frameBytes, alignment: 64)
    defer { buffer.deallocate() }
    let step = TestStream.advance(frameBytes: frameBytes)
    var offset: UInt64 = 0
    while clinux_monotonic_ns() < deadline {
      let short = UInt32(truncatingIfNeeded: offset)
      TestStream.writeHeaders(
        buffer, destination: 1, source: 2, frameBytes: frameBytes, offset: short, pseudoLength: 0)
      TestStream.fill(buffer + TestStream.headerSize, frameBytes - TestStream.headerSize, offset: short)
      try systemCall("send a frame") { Int32(truncatingIfNeeded: Glibc.send(socket, buffer, frameBytes, 0)) }
      offset += step
    }
    return offset / step
  }

  private static func receive(_ socket: Int32) -> (frames: UInt64, wrong: UInt64, cpu: UInt64) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)
    defer { buffer.deallocate() }
    var verifier = StreamVerifier()
    verifier.begin(window: 1 << 62)
    guard let start = buffer.baseAddress else { return (0, 1, 0) }
    while true {
      let count = recv(socket, start, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      _ = verifier.take(
        ScatterList(UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])), head: UnsafeRawPointer(start))
    }
    return (verifier.frames, verifier.wrong, clinux_thread_cpu_ns())
  }
}
