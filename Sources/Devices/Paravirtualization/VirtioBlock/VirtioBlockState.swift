import Backends
import Counters
import GuestMemory
import Registers

/// The state of a virtio-blk device (VIRTIO 1.2, 5.2).
struct VirtioBlockState: VirtioState {
  /// Limits of one turn on the loop: requests, and bytes of data.
  private static let batch = 64
  private static let turn = 16 << 20
  /// The maximum size of a queue.
  static let queueSize: UInt16 = 256
  /// Maximum number of data descriptors in a request (seg_max); with header and status it fits the ring.
  static let segmentMaximum: UInt32 = 254
  /// Maximum length of a data descriptor (size_max).
  static let sizeMaximum: UInt32 = 256 << 10
  /// Maximum number of data bytes in a request that obeys seg_max and size_max.
  private static let requestMaximum = Int(segmentMaximum) * Int(sizeMaximum)
  /// Maximum range of one discard or write-zeroes segment, in sectors: 1 GiB.
  static let rangeMaximum: UInt32 = 1 << 21

  /// A request in flight: the values that its completion needs.
  private struct Slot {
    var queue = 0
    var head: UInt16 = 0
    var status: UnsafeMutableRawPointer?
    /// Bytes that the device writes, without the status.
    var written = 0
    /// Size of the writable buffers, without the status.
    var room = 0
    var operation = StorageOperation.read
    var bytes = 0
  }

  var core: VirtioCore
  let storage: any Storage
  private let serial: [UInt8]
  /// The requests in flight and the pool that they come from, both indexed by tag.
  private var slots: [Slot]
  private let requests: [StorageRequest]
  private var free: [Int]
  /// Requests that ended while bus mastering was off. Status and used ring are written when it is on again.
  private var ended: [(tag: Int, result: StorageResult)] = []
  private var chain = DescriptorChain()
  /// Queues with requests that were pushed but not yet published.
  private var touchedQueues = WordSet()
  /// The configuration's `writeback` byte: 0 makes every write durable before it completes.
  private var writeback: UInt8

  init(core: VirtioCore, storage: any Storage, serial: String) {
    self.core = core
    self.storage = storage
    self.serial = Array(serial.utf8.prefix(20))
    let capacity = core.queues.count * Int(Self.queueSize)
    slots = Array(repeating: Slot(), count: capacity)
    requests = (0..<capacity).map { tag in
      let request = StorageRequest()
      request.tag = tag
      return request
    }
    free = Array((0..<capacity).reversed())
    writeback = storage.hasVolatileCache ? 1 : 0
  }

  /// Sets the client to which the storage reports the end of requests; nil releases the device.
  func setClient(_ client: (any StorageClient)?) { for request in requests { request.client = client } }

  // MARK: Negotiation

  func accepts(features: UInt64) -> Bool { true }

  mutating func statusChanged(_ status: UInt8) {
    // 5.2.5.2: if the driver cannot flush, every write must be durable when it completes.
    if status & VirtioStatus.featuresOK != 0, !core.isNegotiated(VirtioBlk.featureFlush) { writeback = 0 }
  }

  mutating func deviceReset() {
    writeback = storage.hasVolatileCache ? 1 : 0
    free.append(contentsOf: ended.map(\.tag))
    ended.removeAll()
  }

  // MARK: Requests

  mutating func process(queue: Int, into submitted: inout [StorageRequest]) -> Bool {
    for (tag, result) in ended { finish(tag, result) }
    ended.removeAll()
    core.queues[queue].setNotifications(false)
    var taken = 0
    var bytes = 0
    var isTurnOver: Bool { taken >= Self.batch || bytes >= Self.turn }
    do throws(VirtqueueError) {
      while !isTurnOver, try core.popOrAskForKick(queue, &chain) {
        taken += 1
        bytes += begin(queue: queue, into: &submitted)
      }
    } catch {
      core.fail(error)
    }
    if touchedQueues.remove(queue) { core.publish(queue: queue) }
    // After a full batch, kicks are still disabled. A turn that finds the queue empty enables them, unless the loop polls.
    return core.isRunning && isTurnOver
  }

  /// Checks the request in `chain`, and queues it for the storage or completes it here.
  ///
  /// - Returns: the number of bytes that the storage will move.
  private mutating func begin(queue: Int, into submitted: inout [StorageRequest]) -> Int {
    let head = chain.head
    guard chain.writable.count >= 1, chain.readable.count >= VirtioBlk.headerSize, let status = takeStatusByte() else {
      // Without a status byte, the device cannot report an error.
      core.counters.add(.badRequest)
      core.queues[queue].push(head, written: 0)
      touchedQueues.insert(queue)
      return 0
    }
    var header: (type: UInt32, reserved: UInt32, sector: UInt64) = (0, 0, 0)
    withUnsafeMutableBytes(of: &header) { _ = chain.readable.copyOut(into: $0) }
    chain.readable.removeFirst(VirtioBlk.headerSize)
    let room = chain.writable.count
    guard let index = free.popLast() else {
      // There are more requests than ring entries, so the driver made a head available twice.
      core.counters.add(.badRequest)
      finish(queue, head, status, VirtioBlk.statusIOError, written: 0, room: room)
      return 0
    }
    let request = requests[index]
    guard let refusal = prepare(request, type: header.type, sector: header.sector) else {
      slots[index] = Slot(
        queue: queue, head: head, status: status, written: request.operation == .read ? request.pieces.count : 0,
        room: room, operation: request.operation, bytes: request.pieces.count)
      core.requestsBegan(1)
      submitted.append(request)
      return request.pieces.count
    }
    free.append(index)
    if refusal.status != VirtioBlk.statusOK { core.counters.add(.badRequest) }
    finish(queue, head, status, refusal.status, written: refusal.written, room: room)
    return 0
  }

  /// Removes the status byte, the last writable byte, from the chain (5.2.6).
  private mutating func takeStatusByte() -> UnsafeMutableRawPointer? {
    guard let last = chain.writable.pieces.last, last.iov_len > 0 else { return nil }
    let byte = last.iov_base + (last.iov_len - 1)
    chain.writable.truncate(to: chain.writable.count - 1)
    return byte
  }

  /// Fills `request` from the chain.
  ///
  /// - Returns: nil for a request to the storage; otherwise the status, and the bytes written, of a completed request.
  private mutating func prepare(
    _ request: StorageRequest, type: UInt32, sector: UInt64
  ) -> (status: UInt8, written: Int)? {
    let (offset, overflow) = sector.multipliedReportingOverflow(by: 512)
    request.pieces.removeAll()
    request.isDurable = false
    request.length = 0
    request.offset = offset
    switch type {
    case VirtioBlk.typeIn:
      request.operation = .read
      swap(&request.pieces, &chain.writable)
    case VirtioBlk.typeOut:
      request.operation = .write
      request.isDurable = completesDurably
      swap(&request.pieces, &chain.readable)
    case VirtioBlk.typeFlush:
      request.operation = .flush
      request.offset = 0
      return nil
    case VirtioBlk.typeGetID:
      var id = serial + Array(repeating: 0, count: 20 - serial.count)
      let count = id.withUnsafeMutableBytes { chain.writable.copyIn(from: UnsafeRawBufferPointer($0)) }
      return (VirtioBlk.statusOK, count)
    case VirtioBlk.typeDiscard, VirtioBlk.typeWriteZeroes:
      return prepareRange(request, isDiscard: type == VirtioBlk.typeDiscard)
    default: return (VirtioBlk.statusUnsupported, 0)
    }
    guard !overflow, (1...Self.requestMaximum).contains(request.pieces.count), storage.refusal(of: request) == nil
    else {
      return (VirtioBlk.statusIOError, 0)
    }
    return nil
  }

  /// Whether the storage must make each write durable: it has a volatile cache, but the driver's cache mode is
  /// write-through (5.2.6.2).
  private var completesDurably: Bool { writeback == 0 && storage.hasVolatileCache }

  /// Fills `request` from the one segment of {sector, count, flags} (5.2.6.2) that max_discard_seg and
  /// max_write_zeroes_seg allow.
  private func prepareRange(_ request: StorageRequest, isDiscard: Bool) -> (status: UInt8, written: Int)? {
    var segment: (sector: UInt64, count: UInt32, flags: UInt32) = (0, 0, 0)
    guard chain.readable.count == 16 else { return (VirtioBlk.statusIOError, 0) }
    withUnsafeMutableBytes(of: &segment) { _ = chain.readable.copyOut(into: $0) }
    let (offset, overflow) = segment.sector.multipliedReportingOverflow(by: 512)
    // Write zeroes has one flag, unmap; discard has none. A reserved flag makes the request unsupported.
    guard segment.flags & ~(isDiscard ? 0 : 1) == 0 else { return (VirtioBlk.statusUnsupported, 0) }
    guard !overflow, segment.count > 0, segment.count <= Self.rangeMaximum else { return (VirtioBlk.statusIOError, 0) }
    request.operation = isDiscard ? .discard : .writeZeroes(unmap: segment.flags & 1 != 0)
    request.isDurable = !isDiscard && completesDurably
    request.offset = offset
    request.length = UInt64(segment.count) * 512
    switch storage.refusal(of: request) {
    case nil: return nil
    case .unsupported: return (VirtioBlk.statusUnsupported, 0)
    default: return (VirtioBlk.statusIOError, 0)
    }
  }

  private mutating func finish(
    _ queue: Int, _ head: UInt16, _ status: UnsafeMutableRawPointer, _ value: UInt8, written: Int, room: Int
  ) {
    if value == VirtioBlk.statusIOError { core.counters.add(.diskErrors) }
    status.storeBytes(of: value, as: UInt8.self)
    // 2.7.8.2: the length counts contiguous bytes from the start. It includes the status only if all data was written.
    core.queues[queue].push(head, written: written == room ? written + 1 : written)
    touchedQueues.insert(queue)
  }

  // MARK: Completions

  /// The storage has completed the request `tag`.
  mutating func completed(_ tag: Int, _ result: StorageResult) {
    if core.registers.isResetting {
      // A reset does not report its requests to the guest. It only waits until the storage no longer uses their memory.
      free.append(tag)
    } else if core.isBusMaster {
      finish(tag, result)
    } else {
      ended.append((tag, result))
    }
    core.requestsEnded(1)
  }

  /// Publishes the requests that ended.
  mutating func publishCompletions() { while let queue = touchedQueues.popFirst() { core.publish(queue: queue) } }

  private mutating func finish(_ tag: Int, _ result: StorageResult) {
    let slot = slots[tag]
    free.append(tag)
    guard let status = slot.status, core.queues[slot.queue].isEnabled else { return }
    count(slot)
    let value: UInt8 =
      switch result {
      case .success: VirtioBlk.statusOK
      case .unsupported: VirtioBlk.statusUnsupported
      case .readOnly, .outOfRange, .failed: VirtioBlk.statusIOError
      }
    finish(
      slot.queue, slot.head, status, value, written: value == VirtioBlk.statusOK ? slot.written : 0,
      room: slot.room)
  }

  private func count(_ slot: Slot) {
    switch slot.operation {
    case .read: core.counters.add(.diskReads)
    case .write: core.counters.add(.diskWrites)
    case .flush: core.counters.add(.diskFlushes)
    case .discard, .writeZeroes: break
    }
    core.counters.add(.diskBytes, slot.bytes)
  }

  // MARK: Configuration (5.2.4)

  func readDeviceConfiguration(_ offset: Int) -> UInt8 {
    func byte(_ value: UInt64, _ start: Int) -> UInt8 {
      UInt8(truncatingIfNeeded: value >> UInt64(8 * (offset - start)))
    }
    let cylinders = min(storage.sectorCount / (16 * 63), 65_535)
    switch offset {
    case 0..<8: return byte(storage.sectorCount, 0)
    case 8..<12: return byte(UInt64(Self.sizeMaximum), 8)
    case 12..<16: return byte(UInt64(Self.segmentMaximum), 12)
    case 16..<18: return byte(cylinders, 16)
    case 18: return 16
    case 19: return 63
    case 20..<24: return byte(512, 20)
    // Topology: 2^3 logical blocks per physical block, alignment offset 0, minimum I/O size of 8 blocks.
    case 24: return 3
    case 26..<28: return byte(8, 26)
    case 32: return writeback
    case 34..<36: return byte(UInt64(core.queues.count), 34)
    case 36..<40, 48..<52: return byte(UInt64(Self.rangeMaximum), offset < 48 ? 36 : 48)
    case 40..<44, 52..<56: return byte(1, offset < 52 ? 40 : 52)
    case 44..<48: return byte(8, 44)
    case 56: return 1
    default: return 0
    }
  }

  mutating func writeDeviceConfiguration(_ offset: Int, _ value: UInt8) {
    // Without FLUSH, the cache stays write-through.
    guard offset == 32, core.isNegotiated(VirtioBlk.featureConfigWCE), core.isNegotiated(VirtioBlk.featureFlush) else {
      return
    }
    writeback = value & 1
  }
}
