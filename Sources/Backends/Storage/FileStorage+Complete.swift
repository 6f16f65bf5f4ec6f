import CLinux
import Glibc
import GuestMemory

/// The path of a request from the kernel back to the client, on the loop.
extension FileStorage {
  /// Handles finished operations. With `waiting`, waits for at least one if any is in flight.
  func reap(waiting: Bool) {
    loop.assertOnLoop()
    guard let context else { return }
    var minimum = waiting && inFlight > 0 ? 1 : 0
    isPumping = true
    while true {
      var atOnce = timespec()
      let count = withUnsafeMutablePointer(to: &atOnce) { atOnce in
        Int(io_getevents(context, minimum, Self.depth, events, minimum > 0 ? nil : atOnce))
      }
      if count == -Int(EINTR) { continue }
      guard count > 0 else { break }
      minimum = 0
      inFlight -= count
      for index in 0..<count {
        ended(Int(clinux_aio_tag(events + index)), clinux_aio_result(events + index))
      }
      if count < Self.depth { break }
    }
    isPumping = false
    commit()
  }

  /// Handles the end of the slot's step. `result` is a number of bytes or a negative errno value.
  private func ended(_ index: Int, _ result: Int) {
    guard operations.indices.contains(index) else { return }
    let operation = operations[index]
    guard let request = operation.request else { return }
    guard result >= 0 else { return failed(index, Int32(truncatingIfNeeded: -result)) }
    guard operation.step == .transfer else { return synced(index) }
    // A short transfer continues where it ended, rounded down for O_DIRECT. No progress means the file shrank: EIO.
    let moved = min(result, operation.asked) / lengthAlignment * lengthAlignment
    guard moved > 0 else { return failed(index, EIO) }
    if let bounce = operation.bounce, request.operation == .read {
      let chunk = UnsafeRawBufferPointer(rebasing: bounce[0..<moved])
      counters.add(.bytesCopied, request.pieces.copyIn(from: chunk, at: operation.done))
    }
    operation.done += moved
    if operation.done < operation.length { goOn(index) } else { finishData(index) }
  }

  /// Ends a request whose data is done, after an fdsync if a durable change needs one.
  func finishData(_ index: Int) {
    guard let request = operations[index].request else { return }
    let needsSync =
      switch cache {
      case .none, .writeback: request.isDurable && request.operation != .read
      // O_DSYNC makes writes durable, but not fallocate.
      case .writethrough: operations[index].usedFallocate
      case .unsafe: false
      }
    if needsSync { sync(index) } else { end(index, .success) }
  }

  func failed(_ index: Int, _ code: Int32) {
    guard operations[index].step == .sync else { return end(index, .failed(code)) }
    var code = code
    if code == EINVAL || code == EOPNOTSUPP {
      // A kernel before 4.18 has no asynchronous fdsync.
      if fdatasync(descriptor) == 0 { return synced(index) }
      code = errno
    }
    // O_DIRECT leaves no dirty pages in the cache; a write that failed was reported as failed.
    if cache != .none { lostWrites = lostWrites ?? code }
    end(index, .failed(code))
  }

  /// Ends a request after a successful fdsync, or fails it if an earlier fdsync lost writes.
  private func synced(_ index: Int) { end(index, lostWrites.map { .failed($0) } ?? .success) }

  /// Frees the slot and reports the result to the client.
  func end(_ index: Int, _ result: StorageResult) {
    let operation = operations[index]
    guard let request = operation.request else { return }
    operation.request = nil
    if let bounce = operation.bounce { freeBounces.append(bounce) }
    operation.bounce = nil
    freeOperations.append(index)
    finish(request, result)
  }
}
