import CGuest

/// virtio-blk (VIRTIO 1.2, 5.2) with one queue. A request consists of header, data and status.
final class VirtioBlockDriver: BlockDevice {
  let sectorCount: UInt64
  let queueDepth = 64
  private let device: VirtioDevice
  private let queue: VirtioQueue
  /// A header of 16 bytes and a status byte for each slot, 32 bytes apart.
  private let headers: UInt64

  /// With `writesThrough`, the driver does not negotiate FLUSH, so a write is durable when it completes (5.2.6.2).
  init(index: Int, mode: CompletionMode, vector: Vector = .device0, writesThrough: Bool = false) {
    device = VirtioDevice(
      type: VirtioBlk.deviceType, index: index,
      wanted: VirtioFeature.eventIndex | (writesThrough ? 0 : VirtioBlk.featureFlush))
    sectorCount = readConfiguration64(device.device)
    queue = device.makeQueue(0, interrupt: mode == .interrupt ? vector : nil)
    headers = Heap.allocate(32 * 65)
    device.start()
  }

  func submit(isWrite: Bool, sector: UInt64, address: UInt64, bytes: Int, tag: Int) {
    let header = headers + UInt64(32 * tag)
    ring_store32(header, isWrite ? VirtioBlk.typeOut : VirtioBlk.typeIn)
    ring_store32(header + 4, 0)
    ring_store64(header + 8, sector)
    ring_store8(header + 16, 0xFF)
    let first = 3 * tag
    queue.setDescriptor(first, address: header, bytes: 16, isWritable: false, next: first + 1)
    queue.setDescriptor(first + 1, address: address, bytes: bytes, isWritable: !isWrite, next: first + 2)
    queue.setDescriptor(first + 2, address: header + 16, bytes: 1, isWritable: true)
    queue.add(first)
  }

  func kick() { queue.kick() }

  func waitForCompletion() -> Int {
    queue.waitForUsed()
    guard let (head, _) = queue.takeUsed() else { fail("no completion") }
    let tag = head / 3
    let status = ring_load8(headers + UInt64(32 * tag) + 16)
    guard status == VirtioBlk.statusOK else { fail("virtio-blk status", UInt64(status)) }
    return tag
  }

  func readStatus() { device.readStatus() }

  func flush() {
    guard device.features & VirtioBlk.featureFlush != 0 else { return }
    let tag = queueDepth
    let header = headers + UInt64(32 * tag)
    ring_store32(header, VirtioBlk.typeFlush)
    ring_store64(header + 8, 0)
    ring_store8(header + 16, 0xFF)
    queue.setDescriptor(3 * tag, address: header, bytes: 16, isWritable: false, next: 3 * tag + 1)
    queue.setDescriptor(3 * tag + 1, address: header + 16, bytes: 1, isWritable: true)
    queue.add(3 * tag)
    queue.kick()
    guard waitForCompletion() == tag else { fail("a flush overtook a write") }
  }
}

/// A 64-bit configuration field, read as two dwords (VIRTIO 1.2, 4.1.3.1).
func readConfiguration64(_ address: UInt64) -> UInt64 {
  UInt64(mmio_read32(address)) | UInt64(mmio_read32(address + 4)) << 32
}
