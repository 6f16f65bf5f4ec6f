import Backends
import EventLoop

/// The host's side of rows over taps: a namespace, and measuring endpoints, each on a tap, with a loop of their own.
final class TapHost {
  let network: TapNetwork
  let loop: EventLoop
  let taps: [TapBackend]
  let endpoints: [StreamEndpoint]

  /// - Parameter count: the number of endpoints. Endpoint n has the address `NetworkBench.endpoint(n)`.
  init(endpoints count: Int = 1) throws {
    let network = try TapNetwork()
    let loop = try EventLoop(name: "endpoint")
    let taps = try (0..<count).map { try network.backend("host\($0)", loop: loop) }
    (self.network, self.loop, self.taps) = (network, loop, taps)
    endpoints = taps.enumerated().map { number, tap in
      StreamEndpoint(backend: tap, loop: loop, address: NetworkBench.endpoint(number))
    }
    loop.start()
  }

  func close() {
    for endpoint in endpoints { endpoint.close() }
    loop.stop()
  }
}
