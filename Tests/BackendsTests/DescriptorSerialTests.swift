import Backends
import CLinux
import EventLoop
import Failures
import Glibc
import Synchronization
import TestSupport
import Testing
import Threads

@Suite("A serial port's output to a descriptor", .timeLimit(.minutes(10)))
struct DescriptorSerialTests {
  private let reader: Int32
  private let writer: Int32

  init() throws {
    signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    (reader, writer) = (ends[0], ends[1])
  }

  private func send(_ bytes: some Sequence<UInt8>, to serial: DescriptorSerial) {
    for byte in bytes {
      while !serial.hasRoom { usleep(100) }
      serial.transmit(byte)
    }
  }

  /// Whether a `finish` of 20 ms returns within 10 s. Afterwards `free` unblocks a write that still waits.
  private func finishes(_ serial: DescriptorSerial, _ free: () -> Void) -> Bool {
    let isFinished = Latch()
    let thread = BackgroundThread {
      serial.finish(within: 20_000_000)
      isFinished.open()
    }
    thread.start()
    let isInTime = isFinished.wait(nanoseconds: 10_000_000_000)
    free()
    thread.join()
    return isInTime
  }

  @Test("a slow reader gets a whole megabyte, because the port reports when it has no room")
  func slowReader() throws {
    let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    let seen = Mutex<[UInt8]>([])
    let reader = reader
    let thread = BackgroundThread {
      var buffer = [UInt8](repeating: 0, count: 3000)
      while true {
        let count = read(reader, &buffer, buffer.count)
        guard count > 0 else { return }
        seen.withLock { $0 += buffer[..<count] }
        if count < 1000 { usleep(100) }
      }
    }
    thread.start()
    let serial = try DescriptorSerial(descriptor: writer, name: "the pipe")
    serial.start()
    send(bytes, to: serial)
    serial.finish { false }
    close(writer)
    thread.join()
    let isWhole = seen.withLock { $0 == bytes }
    #expect(isWhole)
    #expect(serial.failure == nil)
    close(reader)
  }

  @Test("a line is one write, and a prompt without one appears soon")
  func prompt() throws {
    let serial = try DescriptorSerial(descriptor: writer, name: "the pipe")
    serial.start()
    for byte in "login: ".utf8 { serial.transmit(byte) }
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = read(reader, &buffer, buffer.count)
    #expect(String(decoding: buffer[..<count], as: UTF8.self) == "login: ")
    serial.finish(within: 0)
    close(writer)
    close(reader)
  }

  @Test("with a stopped reader the port has no room, blocks no thread and can still be ended")
  func stoppedReader() throws {
    let serial = try DescriptorSerial(descriptor: writer, name: "the pipe")
    serial.start()
    for _ in 0..<3 << 20 { serial.transmit(0x41) }
    #expect(!serial.hasRoom)
    let failure = try #require(serial.failure).description
    #expect(failure.hasPrefix("write the guest's output to the pipe: its reader stopped, the guest did not wait, and "))
    #expect(finishes(serial) { close(reader) })
    close(writer)
  }

  @Test("ending the port ends a write that blocks although poll(2) reported room")
  func waitingWrite() throws {
    // eventfd(2): a counter at 2^64 - 3 has room for 1, and a larger write blocks.
    let counter = eventfd(0, Int32(EFD_CLOEXEC))
    var number = UInt64.max - 2
    #expect(write(counter, &number, 8) == 8)
    let serial = try DescriptorSerial(descriptor: counter, name: "the counter")
    serial.start()
    for byte in "eight: \n".utf8 { serial.transmit(byte) }
    usleep(50_000)
    #expect(finishes(serial) { _ = read(counter, &number, 8) })
    close(counter)
  }

  @Test("when the reader resumes, the port reports room")
  func resumedReader() throws {
    let serial = try DescriptorSerial(descriptor: writer, name: "the pipe")
    serial.start()
    let roomed = Latch()
    serial.onRoom { roomed.open() }
    for _ in 0..<200_000 { serial.transmit(0x41) }
    #expect(!serial.hasRoom)
    var buffer = [UInt8](repeating: 0, count: 200_000)
    var count = 0
    while count < 200_000 { count += max(0, read(reader, &buffer, buffer.count)) }
    #expect(roomed.wait(nanoseconds: 10_000_000_000))
    #expect(serial.hasRoom)
    serial.finish { false }
    #expect(serial.failure == nil)
    close(writer)
    close(reader)
  }

  @Test("a closed reader is reported once, and the port drops later output")
  func closedReader() throws {
    let serial = try DescriptorSerial(descriptor: writer, name: "the pipe")
    serial.start()
    let failed = Latch()
    serial.onFailure { failed.open() }
    close(reader)
    serial.transmit(0x0A)
    #expect(failed.wait(nanoseconds: 10_000_000_000))
    #expect(serial.failure?.description == "write the guest's output to the pipe: its reader has gone.")
    for _ in 0..<100_000 { serial.transmit(0x41) }
    #expect(serial.hasRoom)
    serial.finish { false }
    close(writer)
  }
}

@Suite("Files that a run writes")
struct OutputFileTests {
  private func refusal(_ path: String, _ kind: OutputFile.Kind = .text) -> String {
    do throws(Failure) {
      _ = try OutputFile(path, kind, action: "write \(path)", what: "a text file", option: "--serial file=")
      return ""
    } catch {
      return error.description
    }
  }

  @Test("an old text file or an empty file is overwritten")
  func text() throws {
    let file = try TemporaryFile(size: 0)
    #expect(refusal(file.path) == "")
    file.store(Array("an old log\n".utf8))
    #expect(refusal(file.path) == "")
    #expect(file.contents == [])
  }

  @Test("a disk image, a capture and a block device are refused and unchanged")
  func others() throws {
    let file = try TemporaryFile(size: 1 << 20)
    #expect(
      refusal(file.path)
        == "write \(file.path): the file exists and is not a text file. Name a new file with --serial file=.")
    #expect(file.contents.count == 1 << 20)
    #expect(refusal(file.path, .magic([[0x4D, 0x3C]])).contains("the file exists and is not a text file"))
    for device in ["/dev/loop0", "/dev/vda", "/dev/sda"] where access(device, F_OK) == 0 {
      #expect(refusal(device).contains("it is a block device, and this would overwrite it"))
    }
  }

  @Test("a text file that a disk or another run uses is refused")
  func used() throws {
    let file = try TemporaryFile(size: 0)
    file.store([UInt8](repeating: 0x41, count: 512))
    let loop = try EventLoop(name: "test")
    let disk = try FileStorage(path: file.path, loop: loop, counters: loop.counters)
    #expect(refusal(file.path).contains("another run uses it"))
    disk.close()
    let output = try OutputFile(file.path, .text, action: "write", what: "a text file", option: "")
    #expect(refusal(file.path).contains("another run uses it"))
    withExtendedLifetime(output) {}
  }

  @Test("a file that the run created is removed again, but not another file that now has its name")
  func removal() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/log"
    let output = try OutputFile(path, .text, action: "write", what: "a text file", option: "")
    output.removeIfMade()
    #expect(access(path, F_OK) != 0)
    let second = try OutputFile(path, .text, action: "write", what: "a text file", option: "")
    rename(path, path + ".old")
    close(open(path, O_CREAT | O_WRONLY, 0o644))
    second.removeIfMade()
    #expect(access(path, F_OK) == 0)
    unlink(path)
    rename(path + ".old", path)
    let third = try? OutputFile(path, .text, action: "write", what: "a text file", option: "")
    #expect(third == nil, "the second run still holds it")
  }
}
