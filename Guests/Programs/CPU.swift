import CGuest

/// `program=cpu rounds= threads=`: the work that the host runs too, as the same object code, on one or more vCPUs.
func cpu(_ arguments: CommandLine) {
  let threads = UInt32(truncatingIfNeeded: arguments.number("threads", default: 1))
  guard threads >= 1, threads <= 16 else { fail("threads= must be 1 to 16", UInt64(threads), .usage) }
  CPUWork.rounds = arguments.number("rounds", default: 100)
  CPUWork.state = Heap.allocate(64, alignment: 64)
  let buffer = Heap.allocate(32_768)
  for index in 1..<max(threads, 1) { Processors.start(index) { CPUWork.follow($0) } }
  Sampling(arguments).run { sample, _ in
    // The others start with the sample's number and count themselves when they are done.
    ring_store32(CPUWork.state + 4, 0)
    ring_store32(CPUWork.state, UInt32(sample + 1))
    for index in 1..<max(threads, 1) { InterruptController.sendIPI(to: index, 0x4000 | Vector.device1.rawValue) }
    let checksum = cpu_work(UnsafeMutablePointer<UInt64>(bitPattern: UInt(buffer)), CPUWork.rounds)
    while ring_load32(CPUWork.state + 4) < threads - 1 { cpu_pause() }
    var work = Sampling.Work()
    work.operations = CPUWork.rounds * UInt64(threads)
    work.report = { $0.add("checksum", checksum) }
    return work
  }
}

private enum CPUWork {
  nonisolated(unsafe) static var rounds: UInt64 = 0
  /// The sample that runs, and how many of the others have finished it.
  nonisolated(unsafe) static var state: UInt64 = 0

  static func follow(_ index: UInt32) {
    let buffer = Heap.allocate(32_768)
    var seen: UInt32 = 0
    var start = Interrupt(vector: .device1)
    while true {
      // Asleep between samples: the host measures itself in turn and needs the processor.
      while ring_load32(state) == seen {
        start.wait()
        start.acknowledge()
      }
      seen = ring_load32(state)
      _ = cpu_work(UnsafeMutablePointer<UInt64>(bitPattern: UInt(buffer)), rounds)
      _ = ring_add32(state + 4, 1)
    }
  }
}
