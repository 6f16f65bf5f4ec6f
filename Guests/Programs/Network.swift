import CGuest

/// `program=net device=e1000|virtio-net operation=send|receive|echo|serve frame= batch= peer= …`
///
/// `send` streams to the peer, `receive` requests a stream from the peer, `echo` measures round trips, and `serve`
/// answers another guest's requests until the machine ends. No frame is lost by design: a sender stays inside the
/// window that the receiver grants, and the receiver checks every byte and the order. `extra-exits=` makes `send` read a
/// status register that often for each frame.
func network(_ arguments: CommandLine) {
  let mode = arguments.completionMode
  let frameBytes = Int(truncatingIfNeeded: arguments.number("frame", default: 1514))
  guard frameBytes >= 60, frameBytes <= 65_535 else { fail("frame= must be 60 to 65535", UInt64(frameBytes), .usage) }
  let index = Int(truncatingIfNeeded: arguments.number("index", default: 0))
  guard let device = arguments["device"] else { fail("no device= on the command line", 0, .usage) }
  if device.equals("e1000") {
    let driver = E1000Driver(index: index, mode: mode, style: arguments.driverStyle, frameBytes: frameBytes)
    runNetwork(driver, arguments, frameBytes)
  } else if device.equals("virtio-net") {
    runNetwork(VirtioNetDriver(index: index, mode: mode, frameBytes: frameBytes), arguments, frameBytes)
  } else {
    fail("device= must be e1000 or virtio-net", 0, .usage)
  }
}

private func runNetwork<Device: NetworkDevice>(_ device: Device, _ arguments: CommandLine, _ frameBytes: Int) {
  let batch = Int(truncatingIfNeeded: arguments.number("batch", default: 32))
  guard batch > 0, batch <= 128 else { fail("batch= must be 1 to 128", UInt64(batch), .usage) }
  let station = Station(
    device: device, frameBytes: frameBytes, batch: batch, peer: arguments.number("peer", default: 0xFFFF_FFFF_FFFF))
  guard let operation = arguments["operation"] else { fail("no operation= on the command line", 0, .usage) }
  if operation.equals("serve") {
    JSONLine(event: "serving").finish()
    station.serve()
  }
  let sampling = Sampling(arguments)
  if operation.equals("send") {
    let extra = Int(truncatingIfNeeded: min(arguments.number("extra-exits", default: 0), 1000))
    sampling.run { _, deadline in station.send(extraExits: extra) { sampling.clock.now < deadline } }
  } else if operation.equals("receive") {
    sampling.run { _, _ in station.receive(duration: sampling.duration) }
  } else if operation.equals("echo") {
    let latencies = Latencies()
    sampling.run { _, deadline in station.echo(sampling.clock, until: deadline, latencies) }
  } else {
    fail("operation= must be send, receive, echo or serve", 0, .usage)
  }
}

/// One end of a stream: sends, receives and verifies over one NIC.
private final class Station<Device: NetworkDevice> {
  private let device: Device
  private let frameBytes: Int
  private let batch: Int
  private let peer: UInt64
  private let frame = ReceivedFrame()
  /// The stream offset up to which the peer allows us to send.
  private var credit: UInt64 = 0
  private var progress = TestStreamProgress()
  private var lastResult: (offset: UInt64, frames: UInt64, wrong: UInt64)?
  private var hasEnded = false
  private var echoes: UInt64 = 0
  /// The peer's last request for `serve`: duration and frame size of the stream.
  private var request: (duration: UInt64, frameBytes: Int, from: UInt64)?

  init(device: Device, frameBytes: Int, batch: Int, peer: UInt64) {
    self.device = device
    self.frameBytes = frameBytes
    self.batch = batch
    self.peer = peer
  }

  // MARK: Frames out

  private func takeBuffer() -> UnsafeMutableRawPointer {
    while true {
      if let address = device.transmitBuffer() {
        return UnsafeMutableRawPointer(bitPattern: UInt(address)).unsafelyUnwrapped
      }
      // The device empties a full ring after a kick.
      device.kick()
      cpu_pause()
    }
  }

  private func sendControl(_ kind: TestStream.Kind, to target: UInt64, _ a: UInt64, _ b: UInt64 = 0, _ c: UInt64 = 0) {
    let buffer = takeBuffer()
    TestStream.writeControl(buffer, destination: target, source: device.macAddress, kind: kind, a, b, c)
    device.transmit(bytes: TestStream.controlSize, segmentSize: 0)
    device.kick()
  }

  private func sendData(at offset: UInt64, bytes: Int, to target: UInt64) {
    let buffer = takeBuffer()
    let short = UInt32(truncatingIfNeeded: offset)
    let isLarge = bytes > 9000
    let pseudoLength = isLarge && device.countsPseudoLength ? bytes - 34 : 0
    TestStream.writeHeaders(
      buffer, destination: target, source: device.macAddress, frameBytes: bytes, offset: short,
      pseudoLength: pseudoLength)
    // An e1000 adds the IP checksum's field to its sum, so drivers clear it.
    if isLarge && !device.countsPseudoLength { TestStream.clearIPChecksum(buffer) }
    TestStream.fill(buffer + TestStream.headerSize, bytes - TestStream.headerSize, offset: short)
    device.transmit(bytes: bytes, segmentSize: isLarge ? TestStream.segmentSize : 0)
  }

  // MARK: Frames in

  /// Handles all received frames. Returns whether there were any.
  private func handleReceived() -> Bool {
    var any = false
    while device.receive(frame) {
      any = true
      handle(frame)
      device.recycle()
    }
    return any
  }

  private func handle(_ frame: ReceivedFrame) {
    guard frame.count >= TestStream.headerSize else { return }
    let start = frame.start
    // A switch that has not learned an address yet sends its frames to everyone.
    guard TestStream.isFor(start, address: device.macAddress) else { return }
    switch TestStream.type(start) {
    case 0x0800:
      let source = TestStream.source(start)
      let grant = progress.take(start, frameBytes: frame.count) { payload, sequence in
        frame.payloadIsRight(skip: TestStream.headerSize, bytes: payload, offset: sequence)
      }
      if let grant { sendControl(.credit, to: source, grant) }
    case TestStream.controlType: handleControl(start)
    default: break
    }
  }

  private func handleControl(_ start: UnsafeRawPointer) {
    let source = TestStream.source(start)
    let value = TestStream.value(start, at: TestStream.valueOffset)
    let value2 = TestStream.value(start, at: TestStream.value2Offset)
    let value3 = TestStream.value(start, at: TestStream.value3Offset)
    switch TestStream.kind(start) {
    case .begin:
      progress.begin(window: value)
      hasEnded = false
      sendControl(.credit, to: source, progress.granted)
    case .credit: credit = value > credit ? value : credit
    case .end:
      hasEnded = true
      sendControl(.result, to: source, progress.offset, progress.frames, progress.wrong)
    case .result: lastResult = (value, value2, value3)
    case .request: request = (value, Int(truncatingIfNeeded: value2), source)
    case .echo: sendControl(.echoReply, to: source, value)
    case .echoReply: echoes += 1
    case nil: break
    }
  }

  private func waitForMore() {
    device.kick()
    device.waitForReceive()
  }

  // MARK: What the programs do

  func send(extraExits: Int, while goesOn: () -> Bool) -> Sampling.Work {
    stream(to: peer, frameBytes: frameBytes, extraExits: extraExits, while: goesOn)
  }

  private func stream(
    to target: UInt64, frameBytes: Int, extraExits: Int = 0, while goesOn: () -> Bool
  ) -> Sampling.Work {
    let step = TestStream.advance(frameBytes: frameBytes)
    credit = 0
    lastResult = nil
    sendControl(.begin, to: target, TestStream.window(frameBytes: frameBytes))
    var offset: UInt64 = 0
    var queued = 0
    // A sender that waited for its turn longer than for the whole sample still sends a frame.
    while offset == 0 || goesOn() {
      if offset + step > credit {
        _ = handleReceived()
        if offset + step > credit {
          queued = 0
          waitForMore()
        }
        continue
      }
      for _ in 0..<extraExits { device.readStatus() }
      sendData(at: offset, bytes: frameBytes, to: target)
      offset += step
      queued += 1
      if queued == batch {
        device.kick()
        queued = 0
        _ = handleReceived()
      }
    }
    device.kick()
    sendControl(.end, to: target, offset)
    while lastResult == nil {
      waitForMore()
      _ = handleReceived()
    }
    guard let result = lastResult, result.offset == offset, result.wrong == 0 else {
      fail("the receiver found wrong or missing frames", lastResult?.wrong ?? 0)
    }
    var work = Sampling.Work()
    work.operations = offset / step
    work.bytes = work.operations * UInt64(frameBytes)
    return work
  }

  func receive(duration: UInt64) -> Sampling.Work {
    hasEnded = false
    progress = TestStreamProgress()
    sendControl(.request, to: peer, duration, UInt64(frameBytes))
    while !hasEnded {
      waitForMore()
      _ = handleReceived()
    }
    guard progress.wrong == 0 else { fail("wrong or missing frames", progress.wrong) }
    var work = Sampling.Work()
    work.operations = progress.offset / TestStream.advance(frameBytes: frameBytes)
    work.bytes = work.operations * UInt64(frameBytes)
    return work
  }

  func echo(_ clock: Clock, until deadline: UInt64, _ latencies: Latencies) -> Sampling.Work {
    latencies.removeAll()
    var work = Sampling.Work()
    while clock.now < deadline {
      let start = clock.now
      let before = echoes
      sendControl(.echo, to: peer, start)
      while echoes == before {
        waitForMore()
        _ = handleReceived()
      }
      latencies.append(clock.now - start)
      work.operations += 1
    }
    work.bytes = work.operations * UInt64(TestStream.controlSize)
    work.report = { latencies.report(&$0) }
    return work
  }

  func serve() -> Never {
    let clock = Clock()
    while true {
      waitForMore()
      _ = handleReceived()
      if let wanted = request {
        request = nil
        let deadline = clock.now + wanted.duration
        _ = stream(to: wanted.from, frameBytes: wanted.frameBytes) { clock.now < deadline }
      }
    }
  }
}
