import Backends
import Counters
import GuestMemory

/// Sends frames of any description through a capture, and reads the pcap file that it writes.
///
/// The inputs are operations as in the NICs' targets: a frame, and the offloads that it needs.
final class CaptureParser {
  private let file: FileInMemory

  init() throws { file = try FileInMemory() }

  func parse(_ bytes: UnsafeRawBufferPointer) {
    // An old capture, or another file, which the capture must refuse to overwrite.
    let isOld = bytes.count % 2 == 0
    file.replace(by: UnsafeRawBufferPointer(rebasing: isOld ? bytes[..<0] : bytes[..<min(bytes.count, 24)]))
    let sink = Sink()
    guard let capture = try? PacketCapture(sink, path: file.path, counters: Counters(owner: "capture")) else {
      check(!isOld, "an empty file was refused")
      return
    }
    for index in 0..<32 {
      guard let operation = Operation(bytes, at: index * Operation.size) else { break }
      var frame = FrameBytes.make(operation)
      frame.withUnsafeMutableBytes { bytes in
        capture.send(FrameBytes.describe(Frame(pieces: ScatterList(bytes)), operation))
      }
    }
    capture.sentBurst()
    check(capture.failure == nil, "\(capture.failure?.description ?? "")")
    Self.checkFile(file.contents)
  }

  private final class Sink: NetworkBackend {
    let kind = "none"
    let acceptedOffloads: NetworkOffloads = [.checksum, .tso4, .tso6]
    func connect(_ receiver: (any FrameReceiver)?) {}
    func send(_ frame: Frame) {}
    func sentBurst() {}
    func receiverReady() {}
  }

  /// The file is whole: its header, then records whose lengths lead to its end (libpcap's classic format).
  private static func checkFile(_ file: [UInt8]) {
    func word(_ offset: Int) -> Int {
      Int(file[offset]) | Int(file[offset + 1]) << 8 | Int(file[offset + 2]) << 16 | Int(file[offset + 3]) << 24
    }
    check(file.count >= 24 && word(0) == 0xA1B2_3C4D, "the capture has no header")
    var place = 24
    while place < file.count {
      check(place + 16 <= file.count, "a record is cut off")
      let length = word(place + 8)
      check(length == word(place + 12) && length <= 0x4_0000, "a record has a wrong length")
      place += 16 + length
    }
    check(place == file.count, "the last record is cut off")
  }
}
