import CLinux
import Glibc
import GuestMemory

/// From the queue to the kernel, on the loop.
extension FileStorage {
  /// Gives waiting requests free slots.
  func startQueued() {
    while queueHead < queue.count, let index = freeOperations.last {
      let request = queue[queueHead]
      let needsBounce = needsBounce(request)
      if needsBounce, freeBounces.isEmpty, bounceCount >= Self.bounceLimit { break }
      queueHead += 1
      forgetStarted()
      freeOperations.removeLast()
      start(index, request, needsBounce: needsBounce)
    }
  }

  /// Drops what was started from the queue, without moving the rest each time.
  private func forgetStarted() {
    if queueHead == queue.count {
      queue.removeAll(keepingCapacity: true)
      queueHead = 0
    } else if queueHead >= Self.depth {
      queue.removeFirst(queueHead)
      queueHead = 0
    }
  }

  /// Whether the pieces cannot go to the kernel as they are.
  private func needsBounce(_ request: StorageRequest) -> Bool {
    switch request.operation {
    case .flush, .discard: return false
    case .writeZeroes: return true
    case .read, .write:
      let pieces = request.pieces.pieces
      if pieces.count > Self.maximumPieces { return true }
      guard lengthAlignment > 1 else { return false }
      return pieces.contains {
        Int(bitPattern: $0.iov_base) % memoryAlignment != 0 || $0.iov_len % lengthAlignment != 0
      }
    }
  }

  private func start(_ index: Int, _ request: StorageRequest, needsBounce: Bool) {
    let operation = operations[index]
    operation.request = request
    operation.step = .transfer
    operation.done = 0
    operation.length = request.pieces.count
    switch request.operation {
    case .flush: return sync(index)
    case .discard:
      // A hint: where the file system cannot, the contents stay.
      _ = clinux_punch_hole(descriptor, off_t(request.offset), off_t(request.length))
      return end(index, .success)
    case .writeZeroes(let unmap):
      let offset = off_t(request.offset)
      let length = off_t(request.length)
      if unmap, clinux_punch_hole(descriptor, offset, length) == 0 { return wrote(index) }
      if clinux_zero_range(descriptor, offset, length) == 0 { return wrote(index) }
      // The file system cannot: write zeroes, a chunk at a time.
      operation.length = Int(request.length)
    case .read, .write: break
    }
    if needsBounce {
      operation.bounce = takeBounce()
      if request.operation == .read || request.operation == .write { counters.add(.bounces) }
    }
    ready.append(index)
  }

  private func takeBounce() -> UnsafeMutableRawBufferPointer {
    if let buffer = freeBounces.popLast() { return buffer }
    bounceCount += 1
    return .allocate(byteCount: Self.bounceSize, alignment: 4096)
  }

  /// Makes an fdsync the slot's next step; once writes are lost, none makes them durable.
  func sync(_ index: Int) {
    if let lostWrites { return end(index, .failed(lostWrites)) }
    operations[index].step = .sync
    ready.append(index)
  }

  /// Hands what is ready to the kernel, in as few calls as it takes.
  func submitReady() {
    while !ready.isEmpty, let context {
      arenaUsed = 0
      var count = 0
      while count < ready.count, prepare(ready[count]) {
        batch[count] = operations[ready[count]].block
        count += 1
      }
      let taken = Int(io_submit(context, count, batch))
      if taken > 0 {
        inFlight += taken
        ready.removeFirst(taken)
        continue
      }
      // The kernel is out of slots for now: what is in flight will make room.
      if taken == -Int(EAGAIN), inFlight > 0 { return }
      if taken == -Int(EINTR) { continue }
      // The first one is at fault.
      let index = ready.removeFirst()
      failed(index, taken == 0 ? EIO : Int32(truncatingIfNeeded: -taken))
    }
  }

  /// Fills the slot's control block; false when the batch has no room for its pieces.
  private func prepare(_ index: Int) -> Bool {
    let operation = operations[index]
    guard let request = operation.request else { return false }
    if operation.step == .sync {
      clinux_aio_prepare_fdsync(operation.block, descriptor)
    } else {
      guard let (first, count) = gather(operation, request) else { return false }
      let offset = Int64(request.offset) + Int64(operation.done)
      if request.operation == .read {
        clinux_aio_prepare_readv(operation.block, descriptor, first, Int32(count), offset)
      } else {
        clinux_aio_prepare_writev(operation.block, descriptor, first, Int32(count), offset)
      }
    }
    clinux_aio_notify(operation.block, notification.descriptor, UInt(index))
    return true
  }

  /// Lays what is left of the transfer in the arena: the pieces from `done` on, or a chunk of the bounce buffer.
  private func gather(
    _ operation: FileOperation, _ request: StorageRequest
  ) -> (first: UnsafeMutablePointer<iovec>, count: Int)? {
    let first = arena + arenaUsed
    if let bounce = operation.bounce {
      guard arenaUsed < Self.arenaPieces else { return nil }
      operation.asked = min(Self.bounceSize, operation.length - operation.done)
      let chunk = UnsafeMutableRawBufferPointer(rebasing: bounce[0..<operation.asked])
      switch request.operation {
      case .write: counters.add(.bytesCopied, request.pieces.copyOut(from: operation.done, into: chunk))
      case .writeZeroes: if let start = chunk.baseAddress { memset(start, 0, chunk.count) }
      case .read, .flush, .discard: break
      }
      first.initialize(to: iovec(iov_base: chunk.baseAddress, iov_len: chunk.count))
      arenaUsed += 1
      return (first, 1)
    }
    let pieces = request.pieces.pieces
    guard pieces.count <= Self.arenaPieces - arenaUsed else { return nil }
    var skip = operation.done
    var count = 0
    for piece in pieces {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      (first + count).initialize(to: iovec(iov_base: piece.iov_base + skip, iov_len: piece.iov_len - skip))
      skip = 0
      count += 1
    }
    operation.asked = operation.length - operation.done
    arenaUsed += count
    return (first, count)
  }
}
