import CLinux
import Counters
import GuestMemory
import Registers

/// An error in a ring. The device then needs a reset (VIRTIO 1.2, 2.1.2).
package enum VirtqueueError: Error, Sendable {
  /// The available index is ahead of the device by more than the ring's size.
  case index
  /// The index of a descriptor or its flags are invalid.
  case descriptor
  /// A chain is too long, its buffers are in the wrong order, or the size of an indirect table is invalid.
  case chain
  /// A buffer is empty; a buffer, an indirect table or a ring is not in RAM; or a ring is not aligned.
  case address

  var counter: Counter {
    switch self {
    case .index: .badIndex
    case .descriptor: .badDescriptor
    case .chain: .badChain
    case .address: .badAddress
    }
  }
}

/// A request that the driver made available: the buffers that the device reads, and those that it may write.
package struct DescriptorChain: Sendable {
  package var head: UInt16 = 0
  package var readable = ScatterList()
  package var writable = ScatterList()
  package init() {}
}

/// A 16-bit word of guest memory, to be compared with the value that it had.
// Unchecked: guest memory stays mapped for as long as the machine lives, and is shared with the guest by design.
package struct PolledWord: @unchecked Sendable {
  let address: UnsafeMutableRawPointer
  let value: UInt16

  var hasChanged: Bool { clinux_load_acquire_u16(address) != value }
}

/// The device's side of one split virtqueue (VIRTIO 1.2, 2.7).
///
/// `enable` translates the addresses of the three parts once. Ring indices are read with acquire order and written with
/// release order. A descriptor is first copied, then checked, then used.
package struct Virtqueue {
  /// The largest size that the driver may set.
  package let maximumSize: UInt16

  // The values that the driver set and reads back.
  package var size: UInt16
  package var descriptorAddress: UInt64 = 0
  package var driverAddress: UInt64 = 0
  package var deviceAddress: UInt64 = 0
  package var vector: UInt16 = VirtioPCI.noVector
  package private(set) var isEnabled = false

  private var descriptors = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var available = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var used = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var usesEventIndex = false
  private var allowsIndirect = false
  /// The next available entry to take, and the next used entry to fill.
  private var nextAvailable: UInt16 = 0
  private var nextUsed: UInt16 = 0
  /// The used index at the last `publish`.
  private var signalledUsed: UInt16 = 0

  /// - Parameter maximumSize: a power of two; also the size after a reset.
  package init(maximumSize: UInt16) {
    self.maximumSize = maximumSize
    size = maximumSize
  }

  /// Enables the queue. If a part is not in RAM or not aligned, leaves it disabled and returns false.
  package mutating func enable(in memory: GuestMemory, features: UInt64) -> Bool {
    let count = Int(size)
    guard size > 0, size <= maximumSize, size & (size - 1) == 0,
      descriptorAddress % 16 == 0, driverAddress % 2 == 0, deviceAddress % 4 == 0,
      let descriptors = memory.slice(at: descriptorAddress, count: 16 * count),
      let available = memory.slice(at: driverAddress, count: 6 + 2 * count),
      let used = memory.slice(at: deviceAddress, count: 6 + 8 * count)
    else { return false }
    self.descriptors = descriptors
    self.available = available
    self.used = used
    usesEventIndex = features & VirtioFeature.eventIndex != 0
    allowsIndirect = features & VirtioFeature.indirectDescriptors != 0
    nextAvailable = 0
    nextUsed = 0
    signalledUsed = 0
    isEnabled = true
    return true
  }

  // MARK: Taking requests

  private var availableIndex: UInt16 { clinux_load_acquire_u16(available.baseAddress.unsafelyUnwrapped + 2) }

  /// Whether there is an available request. False for a disabled queue.
  package var hasAvailable: Bool { isEnabled && availableIndex != nextAvailable }

  /// Takes the next request into `chain`, replacing its lists; false if there is none.
  package mutating func pop(_ chain: inout DescriptorChain, from memory: GuestMemory) throws(VirtqueueError) -> Bool {
    guard isEnabled else { return false }
    let waiting = availableIndex &- nextAvailable
    if waiting == 0 { return false }
    guard waiting <= size else { throw .index }
    let slot = Int(nextAvailable & (size - 1))
    let head = clinux_load_acquire_u16(available.baseAddress.unsafelyUnwrapped + 4 + 2 * slot)
    guard head < size else { throw .descriptor }
    chain.head = head
    chain.readable.removeAll()
    chain.writable.removeAll()
    try collect(head, from: descriptors, count: Int(size), isIndirect: false, into: &chain, memory: memory)
    nextAvailable &+= 1
    return true
  }

  /// Undoes the last `count` pops: `pop` will return these requests again.
  package mutating func unpop(_ count: Int = 1) { nextAvailable &-= UInt16(truncatingIfNeeded: count) }

  private func collect(
    _ first: UInt16, from table: UnsafeMutableRawBufferPointer, count: Int, isIndirect: Bool,
    into chain: inout DescriptorChain, memory: GuestMemory
  ) throws(VirtqueueError) {
    var index = Int(first)
    for step in 0... {
      guard index < count else { throw .descriptor }
      // A chain with more descriptors than the table is a loop.
      guard step < count else { throw .chain }
      let entry = UnsafeRawPointer(table.baseAddress.unsafelyUnwrapped + 16 * index)
      let address = entry.loadUnaligned(as: UInt64.self)
      let length = entry.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
      let flags = entry.loadUnaligned(fromByteOffset: 12, as: UInt16.self)
      let next = entry.loadUnaligned(fromByteOffset: 14, as: UInt16.self)
      if flags & SplitRing.flagIndirect != 0 {
        // 2.7.5.3.1: an indirect table must not be in another one, nor have a next descriptor.
        guard allowsIndirect, !isIndirect, flags & SplitRing.flagNext == 0 else { throw .descriptor }
        let entries = Int(length) / SplitRing.descriptorSize
        guard length % 16 == 0, entries > 0, entries <= 1024 else { throw .chain }
        guard let inner = memory.slice(at: address, count: Int(length)) else { throw .address }
        return try collect(0, from: inner, count: entries, isIndirect: true, into: &chain, memory: memory)
      }
      guard let buffer = memory.slice(at: address, count: Int(length)) else { throw .address }
      if flags & SplitRing.flagWrite != 0 {
        chain.writable.append(buffer)
      } else {
        // 2.7.4.2: readable buffers come before writable ones.
        guard chain.writable.isEmpty else { throw .chain }
        chain.readable.append(buffer)
      }
      guard flags & SplitRing.flagNext != 0 else { return }
      index = Int(next)
    }
  }

  // MARK: Returning requests

  /// Adds the request `head`, with `written` bytes, to the used ring. The driver sees it after `publish`.
  package mutating func push(_ head: UInt16, written: Int) {
    let entry = used.baseAddress.unsafelyUnwrapped + 4 + 8 * Int(nextUsed & (size - 1))
    entry.storeBytes(of: UInt32(head), as: UInt32.self)
    (entry + 4).storeBytes(of: UInt32(truncatingIfNeeded: written), as: UInt32.self)
    nextUsed &+= 1
  }

  /// Whether there are pushed requests that the driver cannot see yet.
  package var hasUnpublished: Bool { isEnabled && signalledUsed != nextUsed }

  /// Makes pushed requests visible to the driver.
  ///
  /// - Returns: whether the driver requests an interrupt for them (VIRTIO 1.2, 2.7.7 and 2.7.10).
  package mutating func publish() -> Bool {
    guard isEnabled else { return false }
    let base = used.baseAddress.unsafelyUnwrapped
    clinux_store_release_u16(base + 2, nextUsed)
    // Read the driver's interrupt setting only after the index is visible. Otherwise an interrupt could be missed, and
    // both sides could wait forever.
    clinux_fence()
    let old = signalledUsed
    if old == nextUsed { return false }
    signalledUsed = nextUsed
    guard usesEventIndex else {
      return clinux_load_acquire_u16(available.baseAddress.unsafelyUnwrapped) & SplitRing.noInterrupt == 0
    }
    let wanted = clinux_load_acquire_u16(available.baseAddress.unsafelyUnwrapped + 4 + 2 * Int(size))
    return nextUsed &- wanted &- 1 < nextUsed &- old
  }

  /// The word that the driver advances with each request, and its value when the device took the last one.
  package var nextRequest: PolledWord? {
    guard isEnabled, let base = available.baseAddress else { return nil }
    return PolledWord(address: base + 2, value: nextAvailable)
  }

  /// Enables or disables kicks. After enabling them, check the ring again (`hasAvailable` or `pop`): the driver may
  /// have added a request before it saw the change.
  ///
  /// - Parameter entry: the available entry whose addition is worth a kick; the next one to take unless given.
  package mutating func setNotifications(_ wanted: Bool, for entry: UInt16? = nil) {
    guard isEnabled else { return }
    let base = used.baseAddress.unsafelyUnwrapped
    if usesEventIndex {
      // avail_event is the entry for which the driver kicks. An entry that was taken already disables kicks: the driver
      // adds 65 535 entries before it reaches that index again.
      let next = entry ?? nextAvailable
      clinux_store_release_u16(base + 4 + 8 * Int(size), wanted ? next : next &- 1)
    } else {
      clinux_store_release_u16(base, wanted ? 0 : SplitRing.noNotify)
    }
    if wanted { clinux_fence() }
  }
}
