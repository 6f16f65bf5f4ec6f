/// The driver's side of one split virtqueue, by literal offsets (VIRTIO 1.2, 2.7).
///
/// Descriptors of 16 bytes; the available ring: flags, index, entries of 2 bytes, used_event; the used ring: flags,
/// index, entries of 8 bytes, avail_event.
package final class SplitRingDriver {
  /// A buffer and whether the device may write it.
  package typealias Buffer = (address: UInt64, length: UInt32, isWritable: Bool)

  package let bench: DeviceBench
  package let index: Int
  package let size: UInt16
  package let descriptors: UInt64
  package let available: UInt64
  package let used: UInt64
  private let doorbell: UInt64
  /// The driver's index of the next entry of the available ring.
  package private(set) var nextAvailable: UInt16 = 0
  /// The used entries that `takeUsed` has returned.
  package private(set) var nextUsed: UInt16 = 0

  package init(bench: DeviceBench, index: Int, size: UInt16, base: UInt64 = 0xE000_0000, memory: UInt64 = 0x10_0000) {
    self.bench = bench
    self.index = index
    self.size = size
    descriptors = memory + UInt64(index) * 0x1_0000
    available = descriptors + 0x4000
    used = descriptors + 0x8000
    doorbell = base + 0x3000 + 4 * UInt64(index)
    let entries = Int(size)
    for (place, count) in [(descriptors, 16 * entries), (available, 6 + 2 * entries), (used, 6 + 8 * entries)] {
      bench.store([UInt8](repeating: 0, count: count), at: place)
    }
  }

  /// Starts over, as after a reset of the device.
  package func restart() {
    nextAvailable = 0
    nextUsed = 0
  }

  package func setDescriptor(_ slot: UInt16, _ address: UInt64, _ length: UInt32, flags: UInt16, next: UInt16 = 0) {
    Self.store(bench, descriptors + 16 * UInt64(slot), address, length, flags, next)
  }

  /// Writes one descriptor anywhere, as in an indirect table.
  package static func store(
    _ bench: DeviceBench, _ place: UInt64, _ address: UInt64, _ length: UInt32, _ flags: UInt16, _ next: UInt16
  ) {
    bench.memory.store(address, at: place)
    bench.memory.store(length, at: place + 8)
    bench.memory.store(flags, at: place + 12)
    bench.memory.store(next, at: place + 14)
  }

  /// Chains `buffers` in consecutive descriptors from `head` and makes them available.
  package func add(_ buffers: [Buffer], head: UInt16 = 0) {
    for (step, buffer) in buffers.enumerated() {
      let isLast = step == buffers.count - 1
      let flags: UInt16 = (isLast ? 0 : 1) | (buffer.isWritable ? 2 : 0)
      let slot = head + UInt16(step)
      setDescriptor(slot, buffer.address, buffer.length, flags: flags, next: isLast ? 0 : slot + 1)
    }
    makeAvailable(head)
  }

  /// Like `add`, but with an indirect table at `table` and one descriptor for it.
  package func addIndirect(_ buffers: [Buffer], head: UInt16 = 0, table: UInt64 = 0x30_0000) {
    for (step, buffer) in buffers.enumerated() {
      let isLast = step == buffers.count - 1
      Self.store(
        bench, table + 16 * UInt64(step), buffer.address, buffer.length,
        (isLast ? 0 : 1) | (buffer.isWritable ? 2 : 0), isLast ? 0 : UInt16(step + 1))
    }
    setDescriptor(head, table, UInt32(16 * buffers.count), flags: 4)
    makeAvailable(head)
  }

  package func makeAvailable(_ head: UInt16) {
    bench.memory.store(head, at: available + 4 + 2 * UInt64(nextAvailable % size))
    nextAvailable &+= 1
    bench.memory.store(nextAvailable, at: available + 2)
  }

  package func setAvailableIndex(_ value: UInt16) { bench.memory.store(value, at: available + 2) }
  package func setAvailableFlags(_ value: UInt16) { bench.memory.store(value, at: available) }
  /// used_event: the device interrupts when the used index passes it.
  package func setUsedEvent(_ value: UInt16) { bench.memory.store(value, at: available + 4 + 2 * UInt64(size)) }
  /// avail_event: the driver kicks when the available index passes it.
  package var availableEvent: UInt16 { bench.memory.load(at: used + 4 + 8 * UInt64(size)) ?? 0xDEAD }
  package var usedFlags: UInt16 { bench.memory.load(at: used) ?? 0xDEAD }
  package var usedIndex: UInt16 { bench.memory.load(at: used + 2) ?? 0xDEAD }

  /// Writes the queue's doorbell and lets the loop run.
  package func kick() {
    bench.bus.write(.memory, doorbell, width: 2, UInt64(index))
    bench.settle()
  }

  /// Takes the next used entry; nil when the device has used none.
  package func takeUsed() -> (head: UInt32, length: UInt32)? {
    guard usedIndex != nextUsed else { return nil }
    let entry = used + 4 + 8 * UInt64(nextUsed % size)
    nextUsed &+= 1
    return (bench.memory.load(at: entry) ?? 0xDEAD, bench.memory.load(at: entry + 4) ?? 0xDEAD)
  }
}
