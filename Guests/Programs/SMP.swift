import CGuest

/// `program=smp rounds=`: vCPU 0 drives the IDE disk while vCPU 1 drives virtio-blk. Then both drive virtio-blk under a
/// lock. vCPU 2 only counts, so that the host can kick it. Every written block is read back and checked.
func smp(_ arguments: CommandLine) {
  let rounds = UInt32(truncatingIfNeeded: min(arguments.number("rounds", default: 1000), 1_000_000))
  SMP.rounds = rounds
  SMP.shared = Heap.allocate(64, alignment: 64)
  SMP.buffers = Heap.allocate(3 * 4096)
  Processors.start(2) { _ in
    while ring_load32(SMP.finished) == 0 { _ = ring_add32(SMP.counter, 1) }
    ring_store32(SMP.finished, 2)
  }
  let ide = IDEDriver(index: 0, mode: .interrupt, style: .lean, vector: .device1)
  Processors.start(1) { _ in
    let disk = VirtioBlockDriver(index: 0, mode: .interrupt)
    SMP.disk = disk
    for round in 0..<SMP.rounds { SMP.writeAndCheck(disk, buffer: 1, round: round) }
    _ = ring_add32(SMP.phase, 1)
    while ring_load32(SMP.phase) < 3 { cpu_pause() }
    SMP.driveUnderLock(buffer: 1)
    _ = ring_add32(SMP.phase, 1)
  }
  for round in 0..<rounds { SMP.writeAndCheck(ide, buffer: 0, round: round) }
  while ring_load32(SMP.phase) < 1 { cpu_pause() }
  // A polling driver, since its completions belong to the CPU that holds the lock.
  SMP.disk = VirtioBlockDriver(index: 0, mode: .poll)
  ring_store32(SMP.phase, 3)
  SMP.driveUnderLock(buffer: 0)
  while ring_load32(SMP.phase) < 4 { cpu_pause() }
  ring_store32(SMP.finished, 1)
  while ring_load32(SMP.finished) != 2 { cpu_pause() }
  var line = JSONLine(event: "smp")
  line.add("rounds", UInt64(rounds))
  line.add("turns", UInt64(ring_load32(SMP.turns)))
  line.add("counted", ring_load32(SMP.counter) > 0)
  line.end()
}

private enum SMP {
  nonisolated(unsafe) static var rounds: UInt32 = 0
  /// The address of words that the CPUs share: phase, lock, turns, counter, finished.
  nonisolated(unsafe) static var shared: UInt64 = 0
  nonisolated(unsafe) static var buffers: UInt64 = 0
  nonisolated(unsafe) static var disk: VirtioBlockDriver?

  static var phase: UInt64 { shared }
  static var lock: UInt64 { shared + 4 }
  static var turns: UInt64 { shared + 8 }
  static var counter: UInt64 { shared + 12 }
  static var finished: UInt64 { shared + 16 }

  static func writeAndCheck<Device: BlockDevice>(_ device: Device, buffer: UInt64, round: UInt32) {
    let address = buffers + 4096 * buffer
    let start = UnsafeMutableRawPointer(bitPattern: UInt(address))
    let bytes = UnsafeMutableRawBufferPointer(start: start, count: 4096)
    // Each CPU keeps to its own eight sectors of every sixteen.
    let sector = UInt64(round % 64) * 16 + 8 * buffer
    TestDisk.fill(bytes, sector: sector, generation: UInt64(round) + 1)
    transfer(device, isWrite: true, sector, address)
    TestDisk.fill(bytes, sector: 0, generation: 0)
    transfer(device, isWrite: false, sector, address)
    guard TestDisk.check(UnsafeRawBufferPointer(bytes), sector: sector, generation: UInt64(round) + 1) else {
      fail("wrong data at sector", sector)
    }
  }

  private static func transfer<Device: BlockDevice>(
    _ device: Device, isWrite: Bool, _ sector: UInt64, _ address: UInt64
  ) {
    device.submit(isWrite: isWrite, sector: sector, address: address, bytes: 4096, tag: 0)
    device.kick()
    _ = device.waitForCompletion()
  }

  static func driveUnderLock(buffer: UInt64) {
    guard let disk else { fail("no disk") }
    for round in 0..<rounds {
      while ring_exchange32(lock, 1) != 0 { cpu_pause() }
      writeAndCheck(disk, buffer: buffer, round: round)
      ring_store32(lock, 0)
      _ = ring_add32(turns, 1)
    }
  }
}
