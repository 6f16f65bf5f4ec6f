import CGuest

/// The driver's side of a split virtqueue (VIRTIO 1.2, 2.7). A request is a chain of descriptors with a head.
final class VirtioQueue {
  let size: Int
  let descriptors: UInt64
  let available: UInt64
  let used: UInt64
  let index: Int
  private let doorbell: UInt64
  private let usesEventIndex: Bool
  private var interrupt: Interrupt?
  private let isr: UInt64
  private var nextAvailable: UInt16 = 0
  private var kickedAvailable: UInt16 = 0
  private var nextUsed: UInt16 = 0

  init(
    index: Int, size: Int, doorbell: UInt64, usesEventIndex: Bool, interrupt: Interrupt?, isr: UInt64
  ) {
    self.index = index
    self.size = size
    self.doorbell = doorbell
    self.usesEventIndex = usesEventIndex
    self.interrupt = interrupt
    self.isr = isr
    descriptors = Heap.allocate(16 * size)
    available = Heap.allocate(6 + 2 * size)
    used = Heap.allocate(6 + 8 * size)
    // A polled queue disables interrupts: by the flag, or by an event index that is never reached.
    if interrupt == nil { ring_store16(available, SplitRing.noInterrupt) }
  }

  /// Fills descriptor `slot`; `next` chains it to another.
  func setDescriptor(_ slot: Int, address: UInt64, bytes: Int, isWritable: Bool, next: Int? = nil) {
    let entry = descriptors + UInt64(16 * slot)
    ring_store64(entry, address)
    ring_store32(entry + 8, UInt32(truncatingIfNeeded: bytes))
    let flags = (isWritable ? SplitRing.flagWrite : 0) | (next == nil ? 0 : SplitRing.flagNext)
    ring_store16(entry + 12, flags)
    ring_store16(entry + 14, UInt16(truncatingIfNeeded: next ?? 0))
  }

  /// Makes the request with first descriptor `head` available; the device sees it after `publish`.
  func add(_ head: Int) {
    let slot = Int(nextAvailable) & (size - 1)
    ring_store16(available + 4 + UInt64(2 * slot), UInt16(truncatingIfNeeded: head))
    nextAvailable &+= 1
  }

  /// Publishes the added requests, and kicks the device if it wants a kick.
  func kick() {
    guard nextAvailable != kickedAvailable else { return }
    ring_store16(available + 2, nextAvailable)
    ring_fence()
    let wanted: Bool
    if usesEventIndex {
      let event = ring_load16(used + 4 + UInt64(8 * size))
      wanted = nextAvailable &- event &- 1 < nextAvailable &- kickedAvailable
    } else {
      wanted = ring_load16(used) & SplitRing.noNotify == 0
    }
    kickedAvailable = nextAvailable
    if wanted { mmio_write16(doorbell, UInt16(truncatingIfNeeded: index)) }
  }

  /// Kicks unconditionally: with NO_NOTIFY or a wrapped index, an extra kick does no harm.
  func forceKick() { mmio_write16(doorbell, UInt16(truncatingIfNeeded: index)) }

  var hasUsed: Bool { ring_load16(used + 2) != nextUsed }

  /// The next request that the device has completed, and the number of bytes it wrote; nil when there is none.
  func takeUsed() -> (head: Int, written: Int)? {
    guard hasUsed else { return nil }
    let entry = used + 4 + UInt64(8 * (Int(nextUsed) & (size - 1)))
    let head = Int(ring_load32(entry))
    let written = Int(ring_load32(entry + 4))
    nextUsed &+= 1
    return (head, written)
  }

  /// Waits until the device completes a request. After each other interrupt, `goesOn` says whether to wait further.
  func waitForUsed(while goesOn: () -> Bool = { true }) {
    guard interrupt != nil else {
      while !hasUsed, goesOn() { cpu_pause() }
      return
    }
    while true {
      if usesEventIndex {
        ring_store16(available + 4 + UInt64(2 * size), nextUsed)
        ring_fence()
      }
      if hasUsed { return }
      guard interrupt?.wait(while: goesOn) == true else { return }
      // INTx stays asserted until the ISR is read.
      if isr != 0 { _ = mmio_read8(isr) }
      interrupt?.acknowledge()
    }
  }
}
