import Backends
import Counters
import GuestMemory
import Synchronization
import TestSupport

/// A disk that stores only written sectors, so that it may be larger than the host's memory.
final class SparseDisk: Storage, @unchecked Sendable {
  let sectorCount: UInt64
  let isReadOnly = false
  let hasVolatileCache = true
  let supportsDiscard = false
  let supportsWriteZeroes = false
  let kind = "sparse"
  private var sectors: [UInt64: [UInt8]] = [:]

  init(sectorCount: UInt64) { self.sectorCount = sectorCount }

  func submit(_ request: StorageRequest) {
    guard let client = request.client else { return }
    if let refusal = refusal(of: request) { return client.completed(request, refusal) }
    for index in 0..<request.pieces.count / 512 {
      let number = request.offset / 512 + UInt64(index)
      if request.operation == .read {
        sector(number).withUnsafeBytes { _ = request.pieces.copyIn(from: $0, at: 512 * index) }
      } else {
        var bytes = [UInt8](repeating: 0, count: 512)
        bytes.withUnsafeMutableBytes { _ = request.pieces.copyOut(from: 512 * index, into: $0) }
        sectors[number] = bytes
      }
    }
    client.completed(request, .success)
  }

  func commit() {}

  func sector(_ number: UInt64) -> [UInt8] { sectors[number] ?? OracleDisk.initial(number) }

  /// `count` bytes from the start of sector `first`.
  func bytes(_ first: UInt64, count: Int) -> [UInt8] {
    Array((0..<UInt64((count + 511) / 512)).flatMap { sector(first + $0) }.prefix(count))
  }
}

/// The wire of our NIC. It records sent frames in the form in which a socket would carry them.
final class OwnWire: NetworkBackend, @unchecked Sendable {
  let kind = "oracle"
  let acceptedOffloads: NetworkOffloads = []
  private let adapter = FrameAdapter(counters: Counters(owner: "wire"))
  private var sent: [[UInt8]] = []
  private weak var receiver: (any FrameReceiver)?

  func connect(_ receiver: (any FrameReceiver)?) { self.receiver = receiver }

  func send(_ frame: Frame) {
    adapter.adapt(frame, to: []) { piece in
      var bytes = [UInt8](repeating: 0, count: piece.count)
      bytes.withUnsafeMutableBytes { _ = piece.pieces.copyOut(into: $0) }
      sent.append(bytes)
      return true
    }
  }
  func sentBurst() {}
  func receiverReady() {}

  func takeSent() -> [[UInt8]] {
    defer { sent = [] }
    return sent
  }

  func deliver(_ frame: [UInt8]) {
    var bytes = frame
    bytes.withUnsafeMutableBytes { _ = receiver?.receive(Frame(pieces: ScatterList($0))) }
    receiver?.receivedBurst()
  }
}
