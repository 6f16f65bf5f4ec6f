import CGuest

/// `program=cpu rounds= threads=`: runs the CPU work on one or more vCPUs. The host runs the same object code.
func cpu(_ arguments: CommandLine) {
  let threads = UInt32(truncatingIfNeeded: arguments.number("threads", default: 1))
  guard threads >= 1, threads <= 16 else { fail("threads= must be 1 to 16", UInt64(threads), .usage) }
  CPUWork.rounds = arguments.number("rounds", default: 100)
  CPUWork.state = Heap.allocate(64, alignment: 64)
  let buffer = Heap.allocate(32_768)
  for index in 1..<max(threads, 1) { Processors.start(index) { CPUWork.follow($0) } }
  Sampling(arguments).run { sample, _ in
    // The other vCPUs start at the sample's number, and increment the count when they are done.
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
  /// The number of the current sample, and how many of the other vCPUs have finished it.
  nonisolated(unsafe) static var state: UInt64 = 0

  static func follow(_ index: UInt32) {
    let buffer = Heap.allocate(32_768)
    var seen: UInt32 = 0
    var start = Interrupt(vector: .device1)
    while true {
      // Sleeps between samples, since the host measures itself in turn and needs the processor.
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
