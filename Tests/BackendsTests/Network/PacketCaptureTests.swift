import Backends
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import TestSupport
import Testing

@Suite("Packet captures (pcap, nanoseconds)")
struct PacketCaptureTests {
  private func little32(_ bytes: [UInt8], _ offset: Int) -> Int {
    (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
  }

  /// The frames in a capture's bytes.
  private func frames(_ bytes: [UInt8]) -> [[UInt8]] {
    var place = 24
    var frames: [[UInt8]] = []
    while place + 16 <= bytes.count {
      let count = little32(bytes, place + 8)
      #expect(little32(bytes, place + 12) == count)
      #expect(little32(bytes, place + 4) < 1_000_000_000)
      #expect(abs(little32(bytes, place) - time(nil)) < 60)
      frames.append(Array(bytes[place + 16..<min(bytes.count, place + 16 + count)]))
      place += 16 + count
    }
    #expect(place == bytes.count)
    return frames
  }

  @Test("a pipe is refused, because its reader could block the loop")
  func pipe() throws {
    let folder = try TemporaryFolder()
    #expect(mkfifo(folder.file("pipe"), 0o600) == 0)
    let port = NetworkSwitch(loop: try EventLoop(name: "test")).makePort(name: "a")
    #expect { _ = try PacketCapture(port, path: folder.file("pipe"), counters: Counters(owner: "capture")) } throws: {
      "\($0)".contains("it is a pipe or a terminal, and its reader may stop. Name a file with pcap=.")
    }
  }

  @Test("both directions are recorded as on a wire: complete checksums, large sends in segments")
  func records() throws {
    let loop = try EventLoop(name: "test")
    let networkSwitch = NetworkSwitch(loop: loop)
    let inner = networkSwitch.makePort(name: "a")
    let peer = networkSwitch.makePort(name: "b")
    let (nic, other) = (TestReceiver([.checksum, .tso4]), TestReceiver([.checksum, .tso4]))
    peer.connect(other)
    let file = try TemporaryFile(size: 0)
    let counters = Counters(owner: "capture")
    let capture = try PacketCapture(inner, path: file.path, counters: counters)
    #expect(capture.kind == "switch")
    #expect(capture.acceptedOffloads == [.checksum, .tso4, .tso6])
    capture.connect(nic)

    let tcp = TCPFrame(payload: 2000)
    let large = PiecedMemory(tcp.bytes, cuts: [20])
    capture.send(Frame(pieces: large.list, checksum: .init(start: 34, offset: 16), segmentation: tcp.segmentation))
    capture.sentBurst()
    #expect(other.frames == [tcp.bytes], "the receiver gets the large frame whole")

    let small = PiecedMemory([UInt8](repeating: 0xFF, count: 14))
    peer.send(Frame(pieces: small.list))
    peer.sentBurst()
    #expect(nic.frames == [[UInt8](repeating: 0xFF, count: 14)])
    #expect(nic.bursts == 1)

    // A frame that waits is recorded once, when the NIC accepts it.
    nic.buffers = 0
    peer.send(Frame(pieces: small.list))
    nic.buffers = 1
    capture.receiverReady()

    let bytes = file.contents
    #expect(
      Array(bytes.prefix(24)) == [
        0x4D, 0x3C, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
      ])
    let recorded = frames(bytes)
    #expect(recorded.map(\.count) == [1502, 606, 14, 14])
    #expect(naiveSum([10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 2, 0x3C] + recorded[1][34...]) == 0xFFFF)
    #expect(counters[.segmentsCut] == 2)
  }

  @Test("a capture file that cannot be created is an error")
  func noFile() throws {
    let port = NetworkSwitch(loop: try EventLoop(name: "test")).makePort(name: "a")
    let failure = #expect(throws: Failure.self) {
      _ = try PacketCapture(port, path: "/nonexistent/a.pcap", counters: Counters(owner: "capture"))
    }
    #expect(
      failure?.description
        == "write the capture /nonexistent/a.pcap: No such file or directory. Name a file in a writable directory."
    )
  }
}
