import CLinux
import Glibc
import GuestMemory

/// The path of a request from the queue to the kernel, on the loop.
extension FileStorage {
  /// Moves waiting requests into free slots.
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

  /// Removes started requests from the queue, without moving the rest each time.
  private func forgetStarted() {
    if queueHead == queue.count {
      queue.removeAll(keepingCapacity: true)
      queueHead = 0
    } else if queueHead >= Self.depth {
      queue.removeFirst(queueHead)
      queueHead = 0
    }
  }

  /// Whether the kernel cannot use the request's pieces directly.
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
    operation.usedFallocate = false
    operation.length = request.pieces.count
    switch request.operation {
    case .flush: return sync(index)
    case .discard, .writeZeroes:
      operation.step = .range
      operation.length = Int(clamping: request.length)
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

  /// Makes an fdsync the slot's next step. Fails the request if an earlier fdsync has lost writes.
  func sync(_ index: Int) {
    if let lostWrites { return end(index, .failed(lostWrites)) }
    operations[index].step = .sync
    goOn(index)
  }

  /// Queues the slot's next step, or ends the request during `cancel`.
  func goOn(_ index: Int) {
    if isCancelling { end(index, .failed(ECANCELED)) } else { ready.append(index) }
  }

  /// Discards or zeroes the next part of a range. The system call blocks until the file system is done.
  private func changeRange(_ index: Int) {
    let operation = operations[index]
    guard let request = operation.request else { return }
    let count = min(Self.rangeChunk, operation.length - operation.done)
    budget -= min(max(count, Self.rangeCost.lowerBound), Self.rangeCost.upperBound)
    let offset = off_t(request.offset) + off_t(operation.done)
    if case .writeZeroes(let unmap) = request.operation {
      let isDone =
        unmap && clinux_punch_hole(descriptor, offset, off_t(count)) == 0
        || clinux_zero_range(descriptor, offset, off_t(count)) == 0
      guard isDone else {
        // The file system does not support it, so write zeroes from a bounce buffer.
        operation.step = .transfer
        return goOn(index)
      }
      operation.usedFallocate = true
    } else {
      // A discard is a hint. If the file system does not support it, the contents stay.
      _ = clinux_punch_hole(descriptor, offset, off_t(count))
    }
    operation.done += count
    if operation.done < operation.length { goOn(index) } else { finishData(index) }
  }

  /// Submits ready operations to the kernel, in as few calls as possible and within this turn's budget.
  func submitReady() {
    while !ready.isEmpty, budget > 0, let context {
      if operations[ready[0]].step == .range {
        changeRange(ready.removeFirst())
        continue
      }
      arenaUsed = 0
      var count = 0
      var bytes = 0
      while count < ready.count, bytes < budget, operations[ready[count]].step != .range, prepare(ready[count]) {
        bytes += operations[ready[count]].asked
        batch[count] = operations[ready[count]].block
        count += 1
      }
      let taken = Int(io_submit(context, count, batch))
      budget -= bytes
      if taken > 0 {
        inFlight += taken
        ready.removeFirst(taken)
        continue
      }
      // The kernel has no free slots. Completions of operations in flight will make room.
      if taken == -Int(EAGAIN), inFlight > 0 { return }
      if taken == -Int(EINTR) { continue }
      // The kernel refused the first operation of the batch.
      let index = ready.removeFirst()
      failed(index, taken == 0 ? EIO : Int32(truncatingIfNeeded: -taken))
    }
  }

  /// Fills the slot's control block. Returns false if the batch has no room for its pieces.
  private func prepare(_ index: Int) -> Bool {
    let operation = operations[index]
    guard let request = operation.request else { return false }
    if operation.step == .sync {
      operation.asked = 0
      counters.add(.hostSyncs)
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

  /// Puts the next chunk of the transfer into the arena: pieces from `done` on, or the bounce buffer.
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
    operation.asked = min(Self.chunk, operation.length - operation.done)
    var skip = operation.done
    var left = operation.asked
    var count = 0
    for piece in pieces where left > 0 {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let length = min(piece.iov_len - skip, left)
      (first + count).initialize(to: iovec(iov_base: piece.iov_base + skip, iov_len: length))
      left -= length
      skip = 0
      count += 1
    }
    arenaUsed += count
    return (first, count)
  }
}
