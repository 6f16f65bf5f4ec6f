import CGuest

/// `program=disk device=ide|virtio-blk operation=write|read|random-read|record block= depth= span= …`
///
/// Every sector holds words that depend on its number and a generation, so that a wrong, stale or misplaced sector
/// is found. A write's measured span ends with a flush, and the written data is verified afterwards. `extra-exits=` adds
/// that many reads of a status register to each measured operation.
func disk(_ arguments: CommandLine) {
  let mode = arguments.completionMode
  let index = Int(truncatingIfNeeded: arguments.number("index", default: 0))
  let writesThrough = arguments["cache"]?.equals("writethrough") == true
  guard let device = arguments["device"] else { fail("no device= on the command line", 0, .usage) }
  if device.equals("virtio-blk") {
    runDisk(VirtioBlockDriver(index: index, mode: mode, writesThrough: writesThrough), arguments)
  } else if device.equals("ide") {
    let transfer: IDEDriver.Transfer = arguments["transfer"]?.equals("pio") == true ? .pio : .dma
    let driver = IDEDriver(index: index, mode: mode, style: arguments.driverStyle, transfer: transfer)
    if writesThrough { driver.disableWriteCache() }
    runDisk(driver, arguments)
  } else {
    fail("device= must be ide or virtio-blk", 0, .usage)
  }
}

extension CommandLine {
  /// `interrupts=irq|poll`; irq by default.
  var completionMode: CompletionMode { self["interrupts"]?.equals("poll") == true ? .poll : .interrupt }
  /// `style=lean|linux`.
  var driverStyle: DriverStyle { self["style"]?.equals("linux") == true ? .linux : .lean }
}

private func runDisk<Device: BlockDevice>(_ device: Device, _ arguments: CommandLine) {
  if arguments["operation"]?.equals("record") == true { return writeRecords(device, arguments) }
  let block = Int(truncatingIfNeeded: arguments.number("block", default: 4096))
  let depth = Int(truncatingIfNeeded: arguments.number("depth", default: 1))
  guard block > 0, block % 512 == 0, block <= 4 << 20, depth > 0, depth <= device.queueDepth else {
    fail("block= or depth= is out of range", UInt64(block), .usage)
  }
  let available = device.sectorCount * 512 / UInt64(block)
  let blocks = min(available, max(1, arguments.number("span", default: 32 << 20) / UInt64(block)))
  guard blocks > 0 else { fail("the disk is smaller than a block", device.sectorCount, .usage) }
  var stream = DiskStream(device: device, block: block, depth: depth, blocks: blocks)
  let extra = Int(truncatingIfNeeded: min(arguments.number("extra-exits", default: 0), 1000))
  let sampling = Sampling(arguments)
  if arguments["operation"]?.equals("write") == true {
    sampling.run { sample, deadline in
      let generation = UInt64(sample + 1)
      var work = Sampling.Work()
      work.operations = stream.transfer(isWrite: true, generation: generation, extraExits: extra) {
        sampling.clock.now < deadline
      }
      device.flush()
      work.bytes = work.operations * UInt64(block)
      let written = min(work.operations, blocks)
      work.verify = {
        var left = written
        _ = stream.transfer(isWrite: false, generation: generation) {
          guard left > 0 else { return false }
          left -= 1
          return true
        }
      }
      return work
    }
  } else {
    stream.fill()
    let isRandom = arguments["operation"]?.equals("random-read") == true
    sampling.run { _, deadline in
      var work = Sampling.Work()
      work.operations = stream.transfer(isWrite: false, generation: 0, isRandom: isRandom, extraExits: extra) {
        sampling.clock.now < deadline
      }
      work.bytes = work.operations * UInt64(block)
      return work
    }
  }
}

/// Keeps `depth` requests in flight on the first `blocks` blocks of a disk. Fills and checks their contents.
private struct DiskStream<Device: BlockDevice> {
  let device: Device
  let block: Int
  let depth: Int
  let blocks: UInt64
  private let buffers: UInt64
  /// The block of each slot.
  private let slots: UnsafeMutablePointer<UInt64>
  private var random: UInt64 = 0x2545_F491_4F6C_DD1D

  init(device: Device, block: Int, depth: Int, blocks: UInt64) {
    self.device = device
    self.block = block
    self.depth = depth
    self.blocks = blocks
    buffers = Heap.allocate(block * depth)
    slots = UnsafeMutablePointer<UInt64>(bitPattern: UInt(Heap.allocate(8 * 64))).unsafelyUnwrapped
  }

  private func buffer(_ slot: Int) -> UInt64 { buffers + UInt64(slot * block) }

  private func bytes(_ slot: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: UInt(buffer(slot))), count: block)
  }

  /// Writes every block with generation 0, for reads to find.
  mutating func fill() {
    var left = blocks
    _ = transfer(isWrite: true, generation: 0) {
      guard left > 0 else { return false }
      left -= 1
      return true
    }
    device.flush()
  }

  /// Transfers blocks repeatedly from the first on, or at random, while `goesOn`. Returns their number.
  mutating func transfer(
    isWrite: Bool, generation: UInt64, isRandom: Bool = false, extraExits: Int = 0, while goesOn: () -> Bool
  ) -> UInt64 {
    var started: UInt64 = 0
    var finished: UInt64 = 0
    var mayStart = true
    func start(_ slot: Int) {
      guard mayStart, goesOn() else {
        mayStart = false
        return
      }
      var number = started % blocks
      if isRandom {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        number = random % blocks
      }
      slots[slot] = number
      let sector = number * UInt64(block / 512)
      for _ in 0..<extraExits { device.readStatus() }
      if isWrite { TestDisk.fill(bytes(slot), sector: sector, generation: generation) }
      device.submit(isWrite: isWrite, sector: sector, address: buffer(slot), bytes: block, tag: slot)
      started += 1
    }
    for slot in 0..<depth { start(slot) }
    device.kick()
    while finished < started {
      let slot = device.waitForCompletion()
      finished += 1
      if !isWrite {
        let sector = slots[slot] * UInt64(block / 512)
        if !TestDisk.check(UnsafeRawBufferPointer(bytes(slot)), sector: sector, generation: generation) {
          fail("wrong data at sector", sector)
        }
      }
      start(slot)
      device.kick()
    }
    return finished
  }
}
