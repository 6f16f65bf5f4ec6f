import CGuest

/// virtio-net (VIRTIO 1.2, 5.1) with one queue pair.
final class VirtioNetDriver: NetworkDevice {
  private static var ringSize: Int { 1024 }
  private static var smallBuffer: Int { 2048 }
  private static var largeBuffer: Int { 65_536 + 4096 }
  private static var largeBuffers: Int { 64 }
  /// A receive buffer where large frames are exchanged, and their number: `TestStream.window` fits, be it 32 frames in 4
  /// buffers each or 48 in one.
  private static var largeReceiveBuffer: Int { 16_384 }
  private static var largeReceiveRing: Int { 256 }
  /// Receive buffers are returned in batches of this size, as in the e1000's driver.
  private static var recycleBatch: Int { 16 }

  let macAddress: UInt64
  let countsPseudoLength = true
  private let device: VirtioDevice
  private let receiveQueue: VirtioQueue
  private let transmitQueue: VirtioQueue
  private let receiveBuffers: UInt64
  private let receiveCapacity: Int
  /// A header of 12 bytes, padded to 16, before each frame.
  private let transmitBuffers: UInt64
  private let frameCapacity: Int
  private let bufferCount: Int
  private var nextTransmit = 0
  private var reaped = 0
  private let heldHeads: UnsafeMutablePointer<Int>
  private var heldCount = 0
  private var recycled = 0

  /// - Parameter frameBytes: the largest frame that will be sent.
  init(index: Int, mode: CompletionMode, frameBytes: Int, vector: Vector = .device0) {
    device = VirtioDevice(
      type: VirtioNetwork.deviceType, index: index,
      wanted: VirtioFeature.eventIndex | VirtioNetwork.featureMAC | VirtioNetwork.featureMergeableBuffers
        | VirtioNetwork.featureChecksum | VirtioNetwork.featureHostTSO4 | VirtioNetwork.featureGuestChecksum
        | VirtioNetwork.featureGuestTSO4)
    var address: UInt64 = 0
    for byte in 0..<UInt64(6) { address |= UInt64(mmio_read8(device.device + byte)) << (8 * byte) }
    macAddress = address
    let isLarge = frameBytes > 1900
    receiveQueue = device.makeQueue(
      0, size: isLarge ? Self.largeReceiveRing : Self.ringSize, interrupt: mode == .interrupt ? vector : nil)
    transmitQueue = device.makeQueue(1, size: Self.ringSize, interrupt: nil)
    frameCapacity = isLarge ? Self.largeBuffer : Self.smallBuffer
    bufferCount = isLarge ? Self.largeBuffers : transmitQueue.size
    transmitBuffers = Heap.allocate(frameCapacity * bufferCount)
    let size = receiveQueue.size
    receiveCapacity = isLarge ? Self.largeReceiveBuffer : Self.smallBuffer
    receiveBuffers = Heap.allocate(receiveCapacity * size)
    heldHeads = UnsafeMutablePointer<Int>(bitPattern: UInt(Heap.allocate(8 * 64))).unsafelyUnwrapped
    for slot in 0..<size {
      receiveQueue.setDescriptor(
        slot, address: receiveBuffers + UInt64(receiveCapacity * slot), bytes: receiveCapacity, isWritable: true)
      receiveQueue.add(slot)
    }
    device.start()
    receiveQueue.kick()
  }

  // MARK: Transmit

  func transmitBuffer() -> UInt64? {
    while let (_, _) = transmitQueue.takeUsed() { reaped += 1 }
    guard nextTransmit - reaped < bufferCount else { return nil }
    return transmitBuffers + UInt64(frameCapacity * (nextTransmit % bufferCount)) + 16
  }

  func transmit(bytes: Int, segmentSize: Int) {
    let slot = nextTransmit % bufferCount
    let frame = transmitBuffers + UInt64(frameCapacity * slot) + 16
    let header = frame - UInt64(VirtioNetwork.headerSize)
    ring_store32(header, 0)
    ring_store64(header + 4, 0)
    if segmentSize > 0 {
      // 5.1.6.2.1: segmentation needs negotiation.
      guard device.features & VirtioNetwork.featureHostTSO4 != 0 else { fail("the device offers no TSO", 0, .usage) }
      ring_store8(header, VirtioNetwork.headerNeedsChecksum)
      ring_store8(header + 1, VirtioNetwork.gsoTCPv4)
      ring_store16(header + 2, UInt16(TestStream.headerSize))
      ring_store16(header + 4, UInt16(truncatingIfNeeded: segmentSize))
      ring_store16(header + 6, 34)
      ring_store16(header + 8, 16)
    }
    transmitQueue.setDescriptor(
      slot, address: header, bytes: VirtioNetwork.headerSize + bytes, isWritable: false)
    transmitQueue.add(slot)
    nextTransmit += 1
  }

  func kick() { transmitQueue.kick() }

  // MARK: Receive

  func receive(_ frame: ReceivedFrame) -> Bool {
    frame.removeAll()
    heldCount = 0
    guard let (head, written) = receiveQueue.takeUsed() else { return false }
    hold(head)
    let start = receiveBuffers + UInt64(receiveCapacity * head)
    let header = VirtioNetwork.headerSize
    frame.append(start + UInt64(header), written - header)
    var more = Int(ring_load16(start + 10)) - 1
    while more > 0 {
      // The device publishes all buffers of a frame together.
      guard let (head, written) = receiveQueue.takeUsed() else { fail("a merged frame is incomplete") }
      hold(head)
      frame.append(receiveBuffers + UInt64(receiveCapacity * head), written)
      more -= 1
    }
    return true
  }

  private func hold(_ head: Int) {
    guard heldCount < 64 else { fail("a frame in too many buffers") }
    heldHeads[heldCount] = head
    heldCount += 1
  }

  func recycle() {
    for index in 0..<heldCount { receiveQueue.add(heldHeads[index]) }
    recycled += heldCount
    heldCount = 0
    guard recycled >= Self.recycleBatch else { return }
    recycled = 0
    receiveQueue.kick()
  }

  func waitForReceive(while goesOn: () -> Bool) { receiveQueue.waitForUsed(while: goesOn) }

  func readStatus() { device.readStatus() }

  /// Kicks the transmit queue although nothing was added to it.
  func kickEmptyQueue() { transmitQueue.forceKick() }
}
