import CGuest

/// An ATA disk behind the PIIX3, by bus-master DMA or PIO (ATA/ATAPI-6; 1994 Bus Master IDE specification).
///
/// The interface runs one command at a time. Further requests wait in a queue here, as in an operating system.
final class IDEDriver: BlockDevice {
  /// How the data moves.
  enum Transfer { case dma, pio }

  private struct Request {
    var isWrite = false
    var sector: UInt64 = 0
    var address: UInt64 = 0
    var bytes = 0
    var tag = 0
  }

  private(set) var sectorCount: UInt64 = 0
  let queueDepth = 64
  private let command: UInt16
  private let control: UInt16
  private let busMaster: UInt16
  private let drive: UInt8
  private let mode: CompletionMode
  private let style: DriverStyle
  private let transfer: Transfer
  private var interrupt: Interrupt
  private var hasFlushExt = false
  private let descriptors: UInt64
  private let waiting: UnsafeMutablePointer<Request>
  private var first = 0
  private var count = 0

  /// The drive's place in bus order: primary master, primary slave, secondary master, secondary slave.
  init(index: Int, mode: CompletionMode, style: DriverStyle, transfer: Transfer = .dma, vector: Vector = .device0) {
    guard let function = PCIDevice.find(vendor: 0x8086, device: 0x7010) else { fail("no PIIX3 IDE") }
    function.enable()
    // Enables the channels' legacy ports, which firmware usually does but qboot does not.
    for register in [PIIX3IDERegister.primaryTiming, PIIX3IDERegister.secondaryTiming] {
      function.write16(register, function.read16(register) | PIIX3IDERegister.decodeEnable)
    }
    let isPrimary = index & 2 == 0
    command = isPrimary ? ATAPort.primaryCommand : ATAPort.secondaryCommand
    control = isPrimary ? ATAPort.primaryControl : ATAPort.secondaryControl
    busMaster =
      UInt16(truncatingIfNeeded: function.baseAddress(4)) + (isPrimary ? 0 : BusMasterIDERegister.secondaryChannel)
    drive = ATADevice.obsolete | ATADevice.lba | (index & 1 != 0 ? ATADevice.drive1 : 0)
    self.mode = mode
    self.style = style
    self.transfer = transfer
    interrupt = Interrupt(vector: vector)
    // A PRD table must not cross a 64 KiB boundary; a page cannot.
    descriptors = Heap.allocate(4096)
    waiting = UnsafeMutablePointer<Request>(bitPattern: UInt(Heap.allocate(4096))).unsafelyUnwrapped
    if mode == .interrupt {
      interrupt.routePin(
        UInt32(isPrimary ? ATAPort.primaryInterrupt : ATAPort.secondaryInterrupt), levelTriggered: false)
    }
    guest_outb(control, ATADeviceControl.interruptDisable)
    identify()
    clearBusMasterStatus()
    _ = guest_inb(command + ATARegister.status)
    // A polling driver leaves INTRQ enabled, since BMIS shows it, and the IOAPIC's pin masked.
    guest_outb(control, 0)
    interrupt.drain()
  }

  private func identify() {
    let buffer = Heap.allocate(512, alignment: 512)
    guest_outb(command + ATARegister.device, drive)
    waitReady()
    guest_outb(command + ATARegister.command, ATACommand.identifyDevice.rawValue)
    waitReady()
    guard guest_inb(control) & ATAStatus.dataRequest != 0 else { fail("no disk on this IDE channel") }
    guest_insw(command, UnsafeMutableRawPointer(bitPattern: UInt(buffer)), 256)
    func word(_ index: Int) -> UInt64 { UInt64(ring_load16(buffer + UInt64(2 * index))) }
    let has48 = word(ATAIdentifyWord.commandSets + 1) & UInt64(ATAIdentifyBit.lba48) != 0
    hasFlushExt = word(ATAIdentifyWord.commandSets + 1) & UInt64(ATAIdentifyBit.flushCacheExt) != 0
    let place = has48 ? ATAIdentifyWord.lba48Sectors : ATAIdentifyWord.lba28Sectors
    sectorCount = word(place) | word(place + 1) << 16
    if has48 { sectorCount |= word(place + 2) << 32 | word(place + 3) << 48 }
  }

  private func waitReady() {
    while guest_inb(control) & ATAStatus.busy != 0 { cpu_pause() }
  }

  // MARK: Requests

  func submit(isWrite: Bool, sector: UInt64, address: UInt64, bytes: Int, tag: Int) {
    waiting[(first + count) & 63] = Request(isWrite: isWrite, sector: sector, address: address, bytes: bytes, tag: tag)
    count += 1
  }

  func kick() {}

  func waitForCompletion() -> Int {
    let request = waiting[first]
    first = (first + 1) & 63
    count -= 1
    switch transfer {
    case .dma: style == .lean ? runLean(request) : runAsLinux(request)
    case .pio: runPIO(request)
    }
    return request.tag
  }

  /// Linux uses the EXT form if the disk has it; both do the same.
  func flush() {
    let code: ATACommand = style == .linux && hasFlushExt ? .flushCacheExt : .flushCache
    guest_outb(command + ATARegister.device, drive)
    guest_outb(command + ATARegister.command, code.rawValue)
    finishWithoutData()
  }

  /// The alternate status does not acknowledge an interrupt (ATA/ATAPI-6, 7.3).
  func readStatus() { _ = guest_inb(control) }

  /// Makes every write durable when it completes (SET FEATURES 0x82; ATA/ATAPI-6, 8.46).
  func disableWriteCache() {
    guest_outb(command + ATARegister.device, drive)
    guest_outb(command + ATARegister.features, ATAFeature.disableWriteCache)
    guest_outb(command + ATARegister.command, ATACommand.setFeatures.rawValue)
    finishWithoutData()
  }

  /// Writes sector count and address, with 48 bits if 28 are too few. Returns whether it used 48.
  private func writeTaskFile(_ request: Request) -> Bool {
    let sectors = request.bytes / 512
    let is48 = sectors > 256 || request.sector + UInt64(sectors) > 1 << 28
    if is48 {
      guest_outb(command + ATARegister.sectorCount, UInt8(truncatingIfNeeded: sectors >> 8))
      guest_outb(command + ATARegister.lbaLow, UInt8(truncatingIfNeeded: request.sector >> 24))
      guest_outb(command + ATARegister.lbaMid, UInt8(truncatingIfNeeded: request.sector >> 32))
      guest_outb(command + ATARegister.lbaHigh, UInt8(truncatingIfNeeded: request.sector >> 40))
    }
    guest_outb(command + ATARegister.sectorCount, UInt8(truncatingIfNeeded: sectors))
    guest_outb(command + ATARegister.lbaLow, UInt8(truncatingIfNeeded: request.sector))
    guest_outb(command + ATARegister.lbaMid, UInt8(truncatingIfNeeded: request.sector >> 8))
    guest_outb(command + ATARegister.lbaHigh, UInt8(truncatingIfNeeded: request.sector >> 16))
    let high = is48 ? 0 : UInt8(truncatingIfNeeded: request.sector >> 24) & ATADevice.headMask
    guest_outb(command + ATARegister.device, drive | high)
    return is48
  }

  private func dmaCommand(_ request: Request, is48: Bool) -> UInt8 {
    if request.isWrite { return is48 ? ATACommand.writeDMAExt.rawValue : ATACommand.writeDMA.rawValue }
    return is48 ? ATACommand.readDMAExt.rawValue : ATACommand.readDMA.rawValue
  }

  /// Writes the PRD table of the buffer: regions of at most 64 KiB that do not cross a 64 KiB boundary.
  private func writeDescriptors(_ request: Request) {
    var address = request.address
    var left = UInt64(request.bytes)
    var entry = descriptors
    while left > 0 {
      let piece = min(left, 0x1_0000 - (address & 0xFFFF))
      left -= piece
      ring_store32(entry, UInt32(truncatingIfNeeded: address))
      let end = left == 0 ? BusMasterIDEDescriptor.endOfTable : 0
      ring_store32(entry + 4, UInt32(truncatingIfNeeded: piece) & BusMasterIDEDescriptor.countMask | end)
      address += piece
      entry += UInt64(BusMasterIDEDescriptor.size)
    }
  }

  /// The fewest accesses that the two specifications allow.
  private func runLean(_ request: Request) {
    writeDescriptors(request)
    let is48 = writeTaskFile(request)
    guest_outl(busMaster + BusMasterIDERegister.descriptorTable, UInt32(truncatingIfNeeded: descriptors))
    guest_outb(command + ATARegister.command, dmaCommand(request, is48: is48))
    let direction = request.isWrite ? 0 : BusMasterIDECommand.writesMemory
    guest_outb(busMaster + BusMasterIDERegister.command, direction | BusMasterIDECommand.start)
    var state = waitForBusMaster()
    while state & (BusMasterIDEStatus.interrupt | BusMasterIDEStatus.error) == 0 { state = waitForBusMaster() }
    let status = guest_inb(command + ATARegister.status)
    guest_outb(busMaster + BusMasterIDERegister.command, 0)
    clearBusMasterStatus()
    check(status, state)
  }

  /// Clears BMIS. It latches INTRQ of every command, even without DMA, so the next command would look done at once.
  private func clearBusMasterStatus() {
    guest_outb(busMaster + BusMasterIDERegister.status, BusMasterIDEStatus.interrupt | BusMasterIDEStatus.error)
  }

  private func waitForBusMaster() -> UInt8 {
    if mode == .interrupt {
      interrupt.wait()
      interrupt.acknowledge()
    }
    return guest_inb(busMaster + BusMasterIDERegister.status)
  }

  private func check(_ status: UInt8, _ busMasterStatus: UInt8) {
    let bad = ATAStatus.error | ATAStatus.deviceFault | ATAStatus.busy | ATAStatus.dataRequest
    guard status & bad == 0, busMasterStatus & BusMasterIDEStatus.error == 0 else {
      fail("IDE status", UInt64(busMasterStatus) << 8 | UInt64(status))
    }
  }

  /// The accesses of Linux's libata for a DMA command: 13 reads and 13 writes for 28 bits of address.
  private func runAsLinux(_ request: Request) {
    let sectors = request.bytes / 512
    let status = command + ATARegister.status
    writeDescriptors(request)
    // ata_dev_select: wait for idle, select, pause, wait again.
    _ = guest_inb(status)
    guest_outb(command + ATARegister.device, drive)
    _ = guest_inb(control)
    _ = guest_inb(status)
    // ata_sff_tf_load.
    let is48 = sectors > 256 || request.sector + UInt64(sectors) > 1 << 28
    if is48 {
      guest_outb(command + ATARegister.features, 0)
      guest_outb(command + ATARegister.sectorCount, UInt8(truncatingIfNeeded: sectors >> 8))
      guest_outb(command + ATARegister.lbaLow, UInt8(truncatingIfNeeded: request.sector >> 24))
      guest_outb(command + ATARegister.lbaMid, UInt8(truncatingIfNeeded: request.sector >> 32))
      guest_outb(command + ATARegister.lbaHigh, UInt8(truncatingIfNeeded: request.sector >> 40))
    }
    guest_outb(command + ATARegister.features, 0)
    guest_outb(command + ATARegister.sectorCount, UInt8(truncatingIfNeeded: sectors))
    guest_outb(command + ATARegister.lbaLow, UInt8(truncatingIfNeeded: request.sector))
    guest_outb(command + ATARegister.lbaMid, UInt8(truncatingIfNeeded: request.sector >> 8))
    guest_outb(command + ATARegister.lbaHigh, UInt8(truncatingIfNeeded: request.sector >> 16))
    let high = is48 ? 0 : UInt8(truncatingIfNeeded: request.sector >> 24) & ATADevice.headMask
    guest_outb(command + ATARegister.device, drive | high)
    _ = guest_inb(status)
    // ata_bmdma_setup.
    guest_outl(busMaster + BusMasterIDERegister.descriptorTable, UInt32(truncatingIfNeeded: descriptors))
    let direction = request.isWrite ? 0 : BusMasterIDECommand.writesMemory
    _ = guest_inb(busMaster + BusMasterIDERegister.command)
    guest_outb(busMaster + BusMasterIDERegister.command, direction)
    guest_outb(command + ATARegister.command, dmaCommand(request, is48: is48))
    _ = guest_inb(control)
    // ata_bmdma_start.
    _ = guest_inb(busMaster + BusMasterIDERegister.command)
    guest_outb(busMaster + BusMasterIDERegister.command, direction | BusMasterIDECommand.start)
    // ata_bmdma_port_intr: status, stop, pause; then clear the interrupt in the drive and in BMIS.
    var state = waitForBusMaster()
    while state & BusMasterIDEStatus.interrupt == 0 { state = waitForBusMaster() }
    _ = guest_inb(busMaster + BusMasterIDERegister.command)
    guest_outb(busMaster + BusMasterIDERegister.command, direction)
    _ = guest_inb(control)
    _ = guest_inb(control)
    let result = guest_inb(status)
    guest_outb(busMaster + BusMasterIDERegister.status, guest_inb(busMaster + BusMasterIDERegister.status))
    check(result, state)
  }

  // MARK: PIO

  private func runPIO(_ request: Request) {
    let is48 = writeTaskFile(request)
    let code: ATACommand =
      request.isWrite
      ? (is48 ? .writeSectorsExt : .writeSectors) : (is48 ? .readSectorsExt : .readSectors)
    guest_outb(command + ATARegister.command, code.rawValue)
    var address = request.address
    for sector in 0..<request.bytes / 512 {
      // The drive requests the first block of a write without an interrupt.
      waitForBlock(expectsInterrupt: !request.isWrite || sector > 0)
      guard guest_inb(control) & ATAStatus.dataRequest != 0 else { fail("no data request") }
      let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address))
      if request.isWrite { guest_outsw(command, pointer, 256) } else { guest_insw(command, pointer, 256) }
      address += 512
    }
    if request.isWrite {
      finishWithoutData()
    } else {
      clearBusMasterStatus()
      check(guest_inb(command + ATARegister.status), 0)
    }
  }

  private func waitForBlock(expectsInterrupt: Bool) {
    if mode == .interrupt, expectsInterrupt {
      interrupt.wait()
      interrupt.acknowledge()
      _ = guest_inb(command + ATARegister.status)
    }
    waitReady()
  }

  private func finishWithoutData() {
    if mode == .interrupt {
      interrupt.wait()
      interrupt.acknowledge()
    }
    waitReady()
    clearBusMasterStatus()
    check(guest_inb(command + ATARegister.status), 0)
  }
}
