import CGuest

/// The Intel 82540EM (SDM: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual).
final class E1000Driver: NetworkDevice {
  private static var ringSize: Int { 1024 }
  /// Receive descriptors where large frames are exchanged: `TestStream.window` in segments fits, be it 32 frames of 44 or
  /// 48 of 12.
  private static var largeReceiveRing: Int { 2048 }
  private static var bufferSize: Int { 2048 }
  /// Bytes of a transmit buffer for small frames. With larger frames, there are `largeBuffers` of 68 KiB.
  private static var transmitSize: Int { 2048 }
  private static var largeBuffers: Int { 64 }
  /// Receive buffers are returned in batches of this size (E1000_RX_BUFFER_WRITE in Linux).
  private static var recycleBatch: Int { 16 }

  let macAddress: UInt64
  let countsPseudoLength = false
  private(set) var base: UInt64 { didSet { acknowledgeByRead() } }
  private let function: PCIDevice
  private let mode: CompletionMode
  private let style: DriverStyle
  private var interrupt: Interrupt
  private let transmitRing: UInt64
  private let receiveRing: UInt64
  private let transmitBuffers: UInt64
  private let receiveCount: Int
  private let receiveBuffers: UInt64
  private var nextTransmit = 0
  private var cleanTransmit = 0
  private var kickedTransmit = 0
  private var nextReceive = 0
  /// Received descriptors that are not yet returned to the device.
  private var consumed = 0
  private var held = 0
  private let frameCapacity: Int
  private var bufferIndex = 0

  /// - Parameter frameBytes: the largest frame that will be sent.
  init(index: Int, mode: CompletionMode, style: DriverStyle, frameBytes: Int) {
    guard let function = PCIDevice.find(vendor: E1000Identity.vendor, device: E1000Identity.device, index: index) else {
      fail("no 82540EM")
    }
    self.function = function
    base = function.baseAddress(0)
    _ = function.baseAddress(1)
    function.enable()
    self.mode = mode
    self.style = style
    interrupt = Interrupt(vector: .deferrable0)
    transmitRing = Heap.allocate(16 * Self.ringSize)
    receiveCount = frameBytes > Self.transmitSize ? Self.largeReceiveRing : Self.ringSize
    receiveRing = Heap.allocate(16 * receiveCount)
    frameCapacity = frameBytes > Self.transmitSize ? 65_536 + 4096 : Self.transmitSize
    transmitBuffers = Heap.allocate(
      frameCapacity * (frameBytes > Self.transmitSize ? Self.largeBuffers : Self.ringSize))
    receiveBuffers = Heap.allocate(Self.bufferSize * receiveCount)

    // 14.3: reset, then read the address, which the device has copied from the EEPROM to RAL/RAH.
    mmio_write32(base + UInt64(E1000Register.imc), ~0)
    mmio_write32(base + UInt64(E1000Register.ctrl), E1000Control.reset)
    while mmio_read32(base + UInt64(E1000Register.ctrl)) & E1000Control.reset != 0 { cpu_pause() }
    mmio_write32(base + UInt64(E1000Register.imc), ~0)
    let low = mmio_read32(base + UInt64(E1000Register.ral0))
    let high = mmio_read32(base + UInt64(E1000Register.rah0))
    macAddress = UInt64(low) | UInt64(high & 0xFFFF) << 32
    mmio_write32(base + UInt64(E1000Register.ctrl), E1000Control.setLinkUp | E1000Control.autoSpeedDetection)
    let clock = Clock()
    while mmio_read32(base + UInt64(E1000Register.status)) & E1000Status.linkUp == 0 {
      if clock.now > 5_000_000_000 { fail("no link") }
      cpu_pause()
    }
    setUpReceive()
    setUpTransmit()
    if mode == .interrupt {
      acknowledgeByRead()
      InterruptController.holdBack(true)
      interrupt.routePin(function.interruptPin, levelTriggered: true)
      _ = read(E1000Register.icr)
      enableInterrupts()
    }
  }

  /// The interrupt's handler reads ICR, which releases the pin.
  private func acknowledgeByRead() {
    guest_acknowledge_by_read(interrupt.vector, base + UInt64(E1000Register.icr))
  }

  private func write(_ register: UInt32, _ value: UInt32) { mmio_write32(base + UInt64(register), value) }
  private func read(_ register: UInt32) -> UInt32 { mmio_read32(base + UInt64(register)) }

  private func setUpReceive() {
    for index in 0..<receiveCount {
      ring_store64(receiveRing + UInt64(16 * index), receiveBuffers + UInt64(Self.bufferSize * index))
      ring_store64(receiveRing + UInt64(16 * index + 8), 0)
    }
    write(E1000Register.rdbal, UInt32(truncatingIfNeeded: receiveRing))
    write(E1000Register.rdbah, UInt32(truncatingIfNeeded: receiveRing >> 32))
    write(E1000Register.rdlen, UInt32(16 * receiveCount))
    write(E1000Register.rdh, 0)
    write(E1000Register.rdt, UInt32(receiveCount - 1))
    // Linux starts with a RADV of 8 units of 1.024 us and at most 20 000 interrupts per second.
    write(E1000Register.rdtr, 0)
    write(E1000Register.radv, style == .linux ? 8 : 0)
    write(E1000Register.itr, style == .linux ? 195 : 0)
    // Buffers of 2048 bytes; accept frames to our address and broadcasts, without FCS.
    write(
      E1000Register.rctl,
      E1000ReceiveControl.enable | E1000ReceiveControl.acceptBroadcast | E1000ReceiveControl.stripCRC)
  }

  private func setUpTransmit() {
    write(E1000Register.tdbal, UInt32(truncatingIfNeeded: transmitRing))
    write(E1000Register.tdbah, UInt32(truncatingIfNeeded: transmitRing >> 32))
    write(E1000Register.tdlen, UInt32(16 * Self.ringSize))
    write(E1000Register.tdh, 0)
    write(E1000Register.tdt, 0)
    if style == .linux {
      write(E1000Register.tidv, 8)
      write(E1000Register.tadv, 32)
    }
    write(E1000Register.tipg, 10 | 8 << 10 | 6 << 20)
    write(
      E1000Register.tctl,
      E1000TransmitControl.enable | E1000TransmitControl.padShortPackets
        | 15 << E1000TransmitControl.collisionThresholdShift | 64 << E1000TransmitControl.collisionDistanceShift)
  }

  private func enableInterrupts() {
    let causes: E1000InterruptCause =
      style == .linux
      ? [
        .receiverTimer, .transmitDescriptorWrittenBack, .receiveDescriptorsLow, .receiveSequenceError,
        .linkStatusChange,
      ]
      : [.receiverTimer, .receiveDescriptorsLow, .receiverOverrun]
    write(E1000Register.ims, causes.rawValue)
    // Linux flushes the write by reading STATUS.
    if style == .linux { _ = read(E1000Register.status) }
  }

  func readStatus() { _ = read(E1000Register.status) }

  /// Writes the value 0 that the multicast table has after a reset. KVM holds such writes.
  func clearMulticastEntry() { write(E1000Register.mta, 0) }

  // MARK: Transmit

  private func transmitPlace(_ index: Int) -> UInt64 { transmitRing + UInt64(16 * (index & (Self.ringSize - 1))) }

  private func receivePlace(_ index: Int) -> UInt64 { receiveRing + UInt64(16 * (index & (receiveCount - 1))) }

  func transmitBuffer() -> UInt64? {
    reapTransmit()
    // A segmented frame takes two descriptors. One more stays free, since a full ring would look empty.
    let isLarge = frameCapacity > Self.transmitSize
    let used = nextTransmit - cleanTransmit
    guard used < (isLarge ? 2 * Self.largeBuffers - 1 : Self.ringSize - 2) else { return nil }
    return transmitBuffers + UInt64(bufferIndex * frameCapacity)
  }

  /// Reclaims completed descriptors. The last descriptor of each frame reports its status.
  private func reapTransmit() {
    while cleanTransmit < kickedTransmit {
      let place = transmitPlace(cleanTransmit)
      let fields = ring_load64(place + 8)
      let isContext =
        UInt8(truncatingIfNeeded: fields >> 24) & E1000TransmitCommand.extended != 0
        && fields >> 20 & 0xF == UInt64(E1000DescriptorType.context)
      // A context descriptor is done when the data descriptor behind it is.
      let status = isContext ? ring_load64(transmitPlace(cleanTransmit + 1) + 8) : fields
      guard UInt8(truncatingIfNeeded: status >> 32) & E1000TransmitStatus.done != 0 else { return }
      cleanTransmit += isContext ? 2 : 1
    }
  }

  private func put(_ entry: E1000TransmitDescriptor) {
    let place = transmitPlace(nextTransmit)
    ring_store64(place, entry.address)
    ring_store64(place + 8, entry.fields)
    nextTransmit += 1
  }

  func transmit(bytes: Int, segmentSize: Int) {
    let buffer = transmitBuffers + UInt64(bufferIndex * frameCapacity)
    let count = frameCapacity > Self.transmitSize ? Self.largeBuffers : Self.ringSize
    bufferIndex = (bufferIndex + 1) % count
    var command = E1000TransmitCommand.endOfPacket | E1000TransmitCommand.insertFCS | E1000TransmitCommand.reportStatus
    if style == .linux { command |= E1000TransmitCommand.interruptDelay }
    if segmentSize == 0 {
      put(.legacy(address: buffer, length: UInt16(truncatingIfNeeded: bytes), command: command))
    } else {
      let header = TestStream.headerSize
      let tse = E1000TransmitCommand.segment
      put(
        .context(
          ipStart: 14, ipOffset: 24, ipEnd: 33, transportStart: 34, transportOffset: 50,
          command: tse | E1000TransmitCommand.tcp | E1000TransmitCommand.ipv4,
          payloadLength: UInt32(truncatingIfNeeded: bytes - header), headerLength: UInt8(header),
          segmentSize: UInt16(truncatingIfNeeded: segmentSize)))
      put(
        .data(
          address: buffer, length: UInt32(truncatingIfNeeded: bytes), command: command | tse,
          packetOptions: E1000PacketOption.ipChecksum | E1000PacketOption.transportChecksum))
    }
    // Linux's stack seldom has a second frame ready, so it writes the tail for each. `lean` leaves that to `kick`.
    if style == .linux { kick() }
  }

  /// Whether the device has sent all frames.
  var hasSentAll: Bool {
    reapTransmit()
    return cleanTransmit == nextTransmit
  }

  func kick() {
    guard kickedTransmit != nextTransmit else { return }
    kickedTransmit = nextTransmit
    write(E1000Register.tdt, UInt32(nextTransmit & (Self.ringSize - 1)))
  }

  // MARK: Disturbances, for tests of what the device does in the middle of traffic

  /// Turns the transmitter off and on again.
  func restartTransmit() {
    let control = read(E1000Register.tctl)
    write(E1000Register.tctl, control & ~E1000TransmitControl.enable)
    write(E1000Register.tctl, control)
  }

  /// Turns memory space off and on again.
  func flickerMemorySpace() {
    let command = function.read16(PCIRegister.command)
    function.write16(PCIRegister.command, command & ~PCICommand.memorySpace)
    function.write16(PCIRegister.command, command)
  }

  /// Moves BAR 0.
  func move(to address: UInt64) {
    function.write32(PCIRegister.bar0, UInt32(truncatingIfNeeded: address))
    base = address
  }

  /// Resets the device and its rings. All frames must have been sent.
  func reset() {
    write(E1000Register.ctrl, E1000Control.reset)
    while read(E1000Register.ctrl) & E1000Control.reset != 0 { cpu_pause() }
    write(E1000Register.ctrl, E1000Control.setLinkUp | E1000Control.autoSpeedDetection)
    nextTransmit = 0
    cleanTransmit = 0
    kickedTransmit = 0
    setUpTransmit()
  }

  // MARK: Receive

  func receive(_ frame: ReceivedFrame) -> Bool {
    frame.removeAll()
    held = 0
    while true {
      let fields = ring_load64(receivePlace(nextReceive + held) + 8)
      let status = UInt8(truncatingIfNeeded: fields >> 32)
      guard status & E1000ReceiveStatus.done != 0 else { return false }
      let index = (nextReceive + held) & (receiveCount - 1)
      frame.append(receiveBuffers + UInt64(Self.bufferSize * index), Int(fields & 0xFFFF))
      held += 1
      if status & E1000ReceiveStatus.endOfPacket != 0 { return true }
    }
  }

  func recycle() {
    for index in 0..<held { ring_store64(receivePlace(nextReceive + index) + 8, 0) }
    nextReceive += held
    consumed += held
    held = 0
    if consumed >= Self.recycleBatch { giveBack() }
  }

  private func giveBack() {
    guard consumed > 0 else { return }
    consumed = 0
    write(E1000Register.rdt, UInt32((nextReceive - 1) & (receiveCount - 1)))
  }

  /// Interrupts come only during the wait: a program that is busy polls the ring, as Linux does (NAPI).
  func waitForReceive(while goesOn: () -> Bool) {
    let place = receivePlace(nextReceive) + 8
    func isDone() -> Bool { UInt8(truncatingIfNeeded: ring_load64(place) >> 32) & E1000ReceiveStatus.done != 0 }
    guard mode == .interrupt else {
      while !isDone(), goesOn() { cpu_pause() }
      return
    }
    guard !isDone() else { return }
    InterruptController.holdBack(false)
    // Linux's poll function re-enables the interrupts that its handler disabled.
    if style == .linux { enableInterrupts() }
    while !isDone() {
      guard interrupt.wait(while: goesOn) else { break }
      if style == .linux {
        write(E1000Register.imc, ~0)
        _ = read(E1000Register.status)
      }
      interrupt.acknowledge()
      if style == .linux, !isDone() { enableInterrupts() }
    }
    InterruptController.holdBack(true)
  }
}
