import Backends
import EventLoop
import Failures
import Threads

/// The host's baseline for frames over taps: the same stream between two taps and a bridge, without a guest.
///
/// All VMMs share this cost, which the kernel has for each frame.
final class HostTaps: Sampled {
  private let frameBytes: Int
  private let duration: UInt64
  private let network: TapNetwork
  private let loops: [EventLoop]
  private let endpoints: [StreamEndpoint]

  init(frameBytes: Int, duration: UInt64) throws {
    self.frameBytes = frameBytes
    self.duration = duration
    network = try TapNetwork()
    loops = [try EventLoop(name: "sender"), try EventLoop(name: "receiver")]
    var endpoints: [StreamEndpoint] = []
    do {
      for (index, loop) in loops.enumerated() {
        endpoints.append(
          StreamEndpoint(
            backend: try network.backend("tap\(index)", loop: loop), loop: loop,
            address: StreamEndpoint.address + UInt64(index) << 40))
      }
    } catch {
      for endpoint in endpoints { endpoint.close() }
      throw error
    }
    self.endpoints = endpoints
    for loop in loops { loop.start() }
  }

  private var cpuTime: UInt64 { loops.reduce(0) { $0 + $1.cpuTime } }

  func sample() throws -> MeasuredSample {
    var sample = MeasuredSample()
    sample.load = HostActivity.load
    let (cpu, steal, drops) = (cpuTime, HostActivity.steal, network.drops)
    let stream = try endpoints[1].receive(frameBytes: frameBytes, from: endpoints[0], duration: duration)
    sample.operations = stream.frames
    sample.bytes = stream.frames * UInt64(frameBytes)
    sample.nanoseconds = stream.nanoseconds
    sample.endpointSeconds = Double(cpuTime - cpu) / 1e9
    sample.stealSeconds = HostActivity.steal - steal
    sample.add(drops: network.drops, since: drops)
    return sample
  }

  func close() {
    for endpoint in endpoints { endpoint.close() }
    for loop in loops { loop.stop() }
  }
}
