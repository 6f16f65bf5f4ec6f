import Backends
import CLinux
import EventLoop
import Failures
import GuestMemory
import Synchronization
import Threads
import Workload

/// The host's baseline for disks. It does the work of the guest's program on the same storage object, without a guest.
// Unchecked: only the loop's thread uses its variables while a transfer runs.
package final class HostDisk: Sampled, StorageClient, @unchecked Sendable {
  package enum Operation: Sendable { case write, read, randomRead }

  private let storage: any Storage
  private let loop: EventLoop
  private let operation: Operation
  private let block: Int
  private let depth: Int
  private let blocks: UInt64
  private let duration: UInt64
  private let memory: GuestMemory
  private var requests: [StorageRequest] = []
  // Used on the loop's thread while a transfer runs.
  private var started: UInt64 = 0
  private var finished: UInt64 = 0
  private var limit: UInt64 = .max
  private var deadline: UInt64 = .max
  private var isWrite = false
  private var isRandom = false
  /// Slots without a request.
  private var idle: [Int] = []
  private var isPumping = false
  private var generation: UInt64 = 0
  private var random: UInt64 = 0x2545_F491_4F6C_DD1D
  private var failure: Failure?
  private var done = Latch()
  private var samples: UInt64 = 0

  package init(
    storage: any Storage, loop: EventLoop, operation: Operation, block: Int, depth: Int, span: Int, duration: UInt64
  ) throws(Failure) {
    self.storage = storage
    self.loop = loop
    self.operation = operation
    self.block = block
    self.depth = depth
    self.duration = duration
    blocks = max(1, min(storage.sectorCount * 512, UInt64(span)) / UInt64(block))
    memory = try GuestMemory(size: (block * depth + 4095) & ~4095)
    memory.populate()
    for slot in 0..<depth {
      let request = StorageRequest()
      request.tag = slot
      request.client = self
      requests.append(request)
    }
    if operation != .write { try transfer(isWrite: true, generation: 0, limit: blocks) }
  }

  package func close() {}

  package func sample() throws -> MeasuredSample {
    samples += 1
    var sample = MeasuredSample()
    sample.load = HostActivity.load
    let cpu = loop.cpuTime
    let begin = clinux_monotonic_ns()
    deadline = begin + duration
    switch operation {
    case .write:
      // Use generations of its own, so that its data cannot be mistaken for a guest's.
      try transfer(isWrite: true, generation: (1 << 32) + samples, limit: .max)
      try flush()
    case .read: try transfer(isWrite: false, generation: 0, limit: .max)
    case .randomRead: try transfer(isWrite: false, generation: 0, limit: .max, isRandom: true)
    }
    sample.nanoseconds = clinux_monotonic_ns() - begin
    sample.ioSeconds = Double(loop.cpuTime - cpu) / 1e9
    deadline = .max
    sample.operations = finished
    sample.bytes = finished * UInt64(block)
    if operation == .write {
      try transfer(isWrite: false, generation: (1 << 32) + samples, limit: min(finished, blocks))
    }
    return sample
  }

  // MARK: Transfers

  private func transfer(isWrite: Bool, generation: UInt64, limit: UInt64, isRandom: Bool = false) throws(Failure) {
    started = 0
    finished = 0
    self.limit = limit
    self.isWrite = isWrite
    self.isRandom = isRandom
    self.generation = generation
    failure = nil
    done = Latch()
    loop.post { [self] in
      idle = Array(0..<depth)
      pump()
    }
    done.wait()
    if let failure { throw failure }
  }

  private func flush() throws(Failure) {
    done = Latch()
    limit = 0
    loop.post { [self] in
      requests[0].operation = .flush
      started += 1
      finished += 1
      storage.submit(requests[0])
      storage.commit()
    }
    done.wait()
    started -= 1
    finished -= 1
    if let failure { throw failure }
  }

  /// Starts requests in idle slots. Opens `done` last, once no request is in flight.
  private func pump() {
    isPumping = true
    repeat {
      while let slot = idle.popLast() { start(slot) }
      storage.commit()
    } while !idle.isEmpty
    isPumping = false
    if finished == started { done.open() }
  }

  private func start(_ slot: Int) {
    guard started < limit, clinux_monotonic_ns() < deadline, failure == nil else { return }
    var number = started % blocks
    if isRandom {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      number = random % blocks
    }
    guard let buffer = memory.slice(at: UInt64(slot * block), count: block) else { return }
    let request = requests[slot]
    request.operation = isWrite ? .write : .read
    request.offset = number * UInt64(block)
    request.pieces.removeAll()
    request.pieces.append(buffer)
    if isWrite { TestDisk.fill(buffer, sector: request.offset / 512, generation: generation) }
    started += 1
    storage.submit(request)
  }

  package func completed(_ request: StorageRequest, _ result: StorageResult) {
    if result != .success {
      failure = failure ?? Failure("measure the disk", cause: "the storage reported \(result)")
    } else if request.operation == .read, let piece = request.pieces.pieces.first {
      let bytes = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
      if !TestDisk.check(bytes, sector: request.offset / 512, generation: generation) {
        failure = Failure("measure the disk", cause: "wrong data at byte \(request.offset)")
      }
    }
    if request.operation == .flush { return done.open() }
    finished += 1
    idle.append(request.tag)
    // If the storage completes inside `submit`, the running `pump` reuses the slot.
    if !isPumping { pump() }
  }
}
