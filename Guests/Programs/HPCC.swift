import CGuest
import CHPCC

/// `program=hpcc-stream|hpcc-ring|hpcc-ptrans|hpcc-hpl size= ranks= …`: the experiments after HPCC.
///
/// The kernels and the messages are in `Guests/HPCC`, which the host runs as well. Ranks are the vCPUs of this machine,
/// or machines of one vCPU with a NIC: then `device=` and `rank=` are set. Rank 0 is sampled, and the others follow it.
func hpcc(_ arguments: CommandLine, _ program: hpcc_program) {
  let ranks = UInt32(truncatingIfNeeded: arguments.number("ranks", default: 1))
  guard ranks >= 1, ranks <= UInt32(HPCC_MAX_RANKS) else { fail("ranks= must be 1 to 16", UInt64(ranks), .usage) }
  let number = UInt32(truncatingIfNeeded: arguments.number("rank", default: 0))
  guard number < ranks else { fail("rank= must be below ranks=", UInt64(number), .usage) }
  var command = hpcc_command()
  command.program = program.rawValue
  command.variant = arguments.variant(of: program)
  command.size = arguments.number("size", default: 1024)
  guard command.size <= 1 << 26 else { fail("size= is too large", command.size, .usage) }
  Ranks.setUp(ranks, command, patience: min(arguments.number("patience-ms", default: 5_000), 60_000) * 1_000_000)
  if let device = arguments["device"] {
    RankNIC.setUp(device, arguments)
    Ranks.start(number, device: RankNIC.table)
    if number > 0 {
      JSONLine(event: "serving").finish()
      return Ranks.check(number, hpcc_call(HPCC_FOLLOW.rawValue, Ranks.all + Int(number), nil, 0))
    }
  } else {
    RankSeats.setUp(ranks)
    for index in 1..<max(ranks, 1) {
      Ranks.start(index, device: nil)
      Processors.start(index) { Ranks.follow($0) }
    }
    Ranks.start(0, device: nil)
    InterruptController.startTimer(vector: RankSeats.vector(0))
  }
  lead(Sampling(arguments), command)
}

private func lead(_ sampling: Sampling, _ first: hpcc_command) {
  let rank = Ranks.all
  var command = first
  Ranks.check(0, hpcc_call(HPCC_CALIBRATE.rawValue, rank, &command, sampling.duration))
  func act(_ action: hpcc_action) {
    command.action = action.rawValue
    Ranks.check(0, hpcc_call(HPCC_LEAD.rawValue, rank, &command, 0))
  }
  func work(_ sample: Int, _ deadline: UInt64) -> Sampling.Work {
    act(HPCC_RUN)
    var work = Sampling.Work()
    work.operations = rank.pointee.result.operations
    work.bytes = rank.pointee.result.bytes
    work.verify = { act(HPCC_VERIFY) }
    work.report = { line in
      let result = rank.pointee.result
      if result.p50 > 0 {
        line.add("p50", result.p50)
        line.add("p99", result.p99)
        line.add("p999", result.p999)
      }
      line.add("residual", result.residual)
    }
    return work
  }
  sampling.run(prepare: { act(HPCC_PREPARE) }, work)
  act(HPCC_QUIT)
}

extension CommandLine {
  /// The kernel of STREAM, or the order of the ranks.
  fileprivate func variant(of program: hpcc_program) -> UInt32 {
    switch program {
    case HPCC_STREAM:
      guard let kernel = self["kernel"] else { return HPCC_TRIAD.rawValue }
      if kernel.equals("copy") { return HPCC_COPY.rawValue }
      if kernel.equals("scale") { return HPCC_SCALE.rawValue }
      if kernel.equals("add") { return HPCC_ADD.rawValue }
      if kernel.equals("triad") { return HPCC_TRIAD.rawValue }
      fail("kernel= must be copy, scale, add or triad", 0, .usage)
    case HPCC_RING:
      guard let order = self["order"] else { return HPCC_NATURAL.rawValue }
      if order.equals("ping-pong") { return HPCC_PING_PONG.rawValue }
      if order.equals("natural") { return HPCC_NATURAL.rawValue }
      if order.equals("random") { return HPCC_RANDOM.rawValue }
      fail("order= must be ping-pong, natural or random", 0, .usage)
    default: return 0
    }
  }
}

/// The ranks of this machine.
private enum Ranks {
  nonisolated(unsafe) static var all = UnsafeMutablePointer<hpcc_rank>(bitPattern: 8).unsafelyUnwrapped
  nonisolated(unsafe) private static var clock: Clock?

  static func setUp(_ count: UInt32, _ command: hpcc_command, patience: UInt64) {
    clock = Clock()
    let place = Heap.allocate(MemoryLayout<hpcc_rank>.stride * Int(count))
    all = UnsafeMutablePointer<hpcc_rank>(bitPattern: UInt(place)).unsafelyUnwrapped
    var command = command
    let bytes = hpcc_memory_bytes(&command, count)
    guard bytes < 1 << 31 else { fail("size= is too large", command.size, .usage) }
    for index in 0..<Int(count) {
      all[index].rank = UInt32(index)
      all[index].ranks = count
      all[index].patience = patience
      all[index].now = { Ranks.clock?.now ?? 0 }
      all[index].memory_bytes = bytes
    }
  }

  /// Gives a rank of this machine its memory, and prepares it for messages.
  static func start(_ index: UInt32, device: UnsafePointer<hpcc_device>?) {
    let rank = all + Int(index)
    let memory = Heap.allocate(Int(truncatingIfNeeded: rank.pointee.memory_bytes))
    rank.pointee.memory = UnsafeMutableRawPointer(bitPattern: UInt(memory))
    rank.pointee.device = device
    if device == nil {
      rank.pointee.shared = UnsafeMutableRawPointer(bitPattern: UInt(RankSeats.shared))
      rank.pointee.sleep = { _, index in RankSeats.sleep(index) }
      rank.pointee.wake = { _, index in RankSeats.wake(index) }
    }
    check(index, hpcc_call(HPCC_START.rawValue, rank, nil, 0))
  }

  /// What the vCPUs behind the first do.
  static func follow(_ index: UInt32) {
    InterruptController.startTimer(vector: RankSeats.vector(index))
    // A failure is rank 0's to report: it learns the status.
    _ = hpcc_call(HPCC_FOLLOW.rawValue, all + Int(index), nil, 0)
  }

  /// Ends the program if a call failed.
  static func check(_ index: UInt32, _ status: UInt32) {
    guard status != HPCC_OK.rawValue else { return }
    let culprit = UInt64(all[Int(index)].culprit)
    switch hpcc_status(rawValue: status) {
    case HPCC_TIMEOUT: fail("no message came in time from rank", culprit)
    case HPCC_CORRUPT: fail("a frame with a wrong checksum, by rank", culprit)
    case HPCC_ORDER: fail("a frame or message is missing, by rank", culprit)
    case HPCC_WRONG: fail("a wrong result on rank", culprit)
    case HPCC_SINGULAR: fail("a singular matrix on rank", culprit)
    default: fail("sizes that the program does not support", culprit, .usage)
    }
  }
}

/// How vCPUs sleep while they wait for a message. One vector serves wake-ups and the timer.
private enum RankSeats {
  nonisolated(unsafe) static var shared: UInt64 = 0
  /// For each rank, 1 if it was woken.
  nonisolated(unsafe) private static var tokens: UInt64 = 0
  nonisolated(unsafe) private static var interrupts = UnsafeMutablePointer<Interrupt>(bitPattern: 8).unsafelyUnwrapped

  static func vector(_ rank: UInt32) -> UInt32 { 0x60 + rank }

  static func setUp(_ ranks: UInt32) {
    shared = Heap.allocate(Int(truncatingIfNeeded: hpcc_shared_bytes(ranks)))
    tokens = Heap.allocate(64 * Int(ranks))
    let place = Heap.allocate(MemoryLayout<Interrupt>.stride * Int(ranks), alignment: 64)
    interrupts = UnsafeMutablePointer<Interrupt>(bitPattern: UInt(place)).unsafelyUnwrapped
    for rank in 0..<ranks { interrupts[Int(rank)] = Interrupt(number: vector(rank)) }
  }

  static func sleep(_ rank: UInt32) -> UInt32 {
    let token = tokens + 64 * UInt64(rank)
    if interrupts[Int(rank)].isPending { interrupts[Int(rank)].acknowledge() }
    if ring_exchange32(token, 0) != 0 { return 1 }
    interrupts[Int(rank)].wait()
    interrupts[Int(rank)].acknowledge()
    return ring_exchange32(token, 0)
  }

  static func wake(_ rank: UInt32) {
    _ = ring_exchange32(tokens + 64 * UInt64(rank), 1)
    InterruptController.sendIPI(to: rank, 0x4000 | vector(rank))
  }
}

/// The NIC of a rank, as the functions that the messages call.
private enum RankNIC {
  nonisolated(unsafe) private static var e1000: E1000Driver?
  nonisolated(unsafe) private static var virtio: VirtioNetDriver?
  nonisolated(unsafe) private static var frame: ReceivedFrame?
  nonisolated(unsafe) private static var ticks = Interrupt(vector: .timer)
  nonisolated(unsafe) private(set) static var table: UnsafeMutablePointer<hpcc_device>?

  static func setUp(_ device: CommandLine.Value, _ arguments: CommandLine) {
    let mode = arguments.completionMode
    frame = ReceivedFrame()
    if device.equals("e1000") {
      e1000 = E1000Driver(index: 0, mode: mode, style: arguments.driverStyle, frameBytes: 1514)
    } else if device.equals("virtio-net") {
      virtio = VirtioNetDriver(index: 0, mode: mode, frameBytes: 1514)
    } else {
      fail("device= must be e1000 or virtio-net", 0, .usage)
    }
    InterruptController.startTimer(vector: Vector.timer.rawValue)
    let place = Heap.allocate(MemoryLayout<hpcc_device>.stride, alignment: 64)
    let functions = UnsafeMutablePointer<hpcc_device>(bitPattern: UInt(place)).unsafelyUnwrapped
    functions.pointee.buffer = { _ in
      let address = RankNIC.e1000?.transmitBuffer() ?? RankNIC.virtio?.transmitBuffer()
      return address.flatMap { UnsafeMutableRawPointer(bitPattern: UInt($0)) }
    }
    functions.pointee.transmit = { _, bytes in
      RankNIC.e1000?.transmit(bytes: Int(bytes), segmentSize: 0)
      RankNIC.virtio?.transmit(bytes: Int(bytes), segmentSize: 0)
    }
    functions.pointee.kick = { _ in
      RankNIC.e1000?.kick()
      RankNIC.virtio?.kick()
    }
    functions.pointee.receive = { _, bytes in RankNIC.receive(bytes) }
    functions.pointee.recycle = { _ in
      RankNIC.e1000?.recycle()
      RankNIC.virtio?.recycle()
    }
    functions.pointee.wait = { _ in
      RankNIC.e1000?.waitForReceive(while: RankNIC.hasNotTicked)
      RankNIC.virtio?.waitForReceive(while: RankNIC.hasNotTicked)
    }
    table = functions
  }

  private static func receive(_ bytes: UnsafeMutablePointer<UInt32>?) -> UnsafeRawPointer? {
    guard let frame, e1000?.receive(frame) ?? virtio?.receive(frame) == true else { return nil }
    // Frames of other senders than ranks may be larger. They are not for this machine.
    bytes?.pointee = frame.pieceCount == 1 ? UInt32(truncatingIfNeeded: frame.count) : 0
    return frame.start
  }

  /// Whether the timer has been silent since the last call.
  private static func hasNotTicked() -> Bool {
    guard ticks.isPending else { return true }
    ticks.acknowledge()
    return false
  }
}
