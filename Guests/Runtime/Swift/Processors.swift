import CGuest

/// The other CPUs: started one at a time by INIT and start-up messages (Intel SDM volume 3, 9.4).
enum Processors {
  /// The function that the next started CPU runs. Only one CPU starts at a time.
  nonisolated(unsafe) fileprivate static var work: (@convention(c) (UInt32) -> Void)?
  nonisolated(unsafe) private static var started: UInt64 = 0

  static var startedAddress: UInt64 {
    if started == 0 { started = Heap.allocate(64, alignment: 64) }
    return started
  }

  /// Starts CPU `index` (its local APIC ID), which runs `body` with `index`; waits until it runs.
  static func start(_ index: UInt32, _ body: @escaping @convention(c) (UInt32) -> Void) {
    work = body
    let before = ring_load32(startedAddress)
    let task = Heap.allocate(0x2080)
    let kernelStack = Heap.allocate(4096)
    let stack = Heap.allocate(65_536)
    guest_prepare_processor(index, task, kernelStack + 4096, stack + 65_536, index)
    InterruptController.sendIPI(to: index, 0x4500)  // INIT, assert
    InterruptController.sendIPI(to: index, 0x4608)  // start-up at 0x8000
    let clock = Clock()
    while ring_load32(startedAddress) == before {
      if clock.now > 2_000_000_000 { fail("a processor did not start", UInt64(index)) }
      cpu_pause()
    }
  }
}

/// Where a started CPU enters CPL 3 (Entry.S).
@_cdecl("processor_started")
func processorStarted(_ index: UInt32) {
  InterruptController.setUp()
  service_enable_interrupts()
  let body = Processors.work
  _ = ring_add32(Processors.startedAddress, 1)
  body?(index)
  let never = guest_vector_count_address(254)
  while true { service_halt(never, ring_load32(never)) }
}
