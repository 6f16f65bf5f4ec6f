import CHPCC
import CLinux
import Failures
import Glibc
import GuestMemory
import Threads

/// The experiments after HPCC on the host: the same object code as in the guest, with threads as ranks.
final class HostHPCC: Sampled {
  typealias Call =
    @convention(c) (UInt32, UnsafeMutablePointer<hpcc_rank>, UnsafeMutablePointer<hpcc_command>?, UInt64) -> UInt32

  /// The ranks. Tests change what a program has computed.
  let ranks: UnsafeMutablePointer<hpcc_rank>
  private let count: Int
  private var command: hpcc_command
  private let code: GuestCode
  private let call: Call
  /// The memory of each rank, and then what they share: in huge pages, as a guest's is.
  private let memory: [GuestMemory]
  private let semaphores: UnsafeMutablePointer<sem_t>
  private var followers: [BackgroundThread] = []
  private var isLeading = false

  /// - Parameter duration: nanoseconds of a sample.
  init(threads: Int, _ command: hpcc_command, duration: UInt64, patience: UInt64 = 10_000_000_000) throws {
    count = threads
    self.command = command
    code = try GuestCode(section: ".hpcc")
    call = unsafeBitCast(code.start, to: Call.self)
    let bytes = Int(hpcc_memory_bytes(&self.command, UInt32(threads)))
    let sizes = Array(repeating: bytes, count: threads) + [Int(hpcc_shared_bytes(UInt32(threads)))]
    memory = try sizes.map { try GuestMemory(size: ($0 + 0xFFF) & ~0xFFF) }
    for part in memory { part.populate() }
    let places = zip(memory, sizes).map { $0.slice(at: 0, count: $1)?.baseAddress }
    semaphores = .allocate(capacity: threads)
    ranks = .allocate(capacity: threads)
    for index in 0..<threads {
      sem_init(semaphores + index, 0, 0)
      var rank = hpcc_rank()
      rank.rank = UInt32(index)
      rank.ranks = UInt32(threads)
      rank.now = { clinux_monotonic_ns() }
      rank.patience = patience
      rank.shared = places[threads]
      rank.context = UnsafeMutableRawPointer(semaphores)
      rank.sleep = { HostHPCC.sleep($0, $1) }
      rank.wake = { HostHPCC.wake($0, $1) }
      rank.memory = places[index]
      rank.memory_bytes = UInt64(bytes)
      ranks[index] = rank
      try check(call(HPCC_START.rawValue, ranks + index, nil, 0))
    }
    for index in 1..<max(threads, 1) {
      // A thread gets its rank as a number, since pointers are not Sendable.
      let (address, code) = (UInt(bitPattern: ranks + index), code)
      let follower = BackgroundThread {
        guard let rank = UnsafeMutablePointer<hpcc_rank>(bitPattern: address) else { return }
        // A failure is rank 0's to report: it learns the status.
        _ = unsafeBitCast(code.start, to: Call.self)(HPCC_FOLLOW.rawValue, rank, nil, 0)
      }
      follower.start()
      followers.append(follower)
    }
    isLeading = true
    do {
      try check(call(HPCC_CALIBRATE.rawValue, ranks, &self.command, duration))
    } catch {
      close()
      throw error
    }
  }

  deinit {
    close()
    for index in 0..<count { sem_destroy(semaphores + index) }
    semaphores.deallocate()
    ranks.deallocate()
  }

  private static func sleep(_ context: UnsafeMutableRawPointer?, _ rank: UInt32) -> UInt32 {
    guard let context else { return 0 }
    let semaphore = context.assumingMemoryBound(to: sem_t.self) + Int(rank)
    var limit = timespec()
    clock_gettime(CLOCK_REALTIME, &limit)
    limit.tv_nsec += 100_000_000
    if limit.tv_nsec >= 1_000_000_000 {
      limit.tv_nsec -= 1_000_000_000
      limit.tv_sec += 1
    }
    return sem_timedwait(semaphore, &limit) == 0 ? 1 : 0
  }

  private static func wake(_ context: UnsafeMutableRawPointer?, _ rank: UInt32) {
    guard let context else { return }
    sem_post(context.assumingMemoryBound(to: sem_t.self) + Int(rank))
  }

  /// Makes all ranks act.
  func act(_ action: hpcc_action) throws(Failure) {
    command.action = action.rawValue
    try check(call(HPCC_LEAD.rawValue, ranks, &command, 0))
  }

  private func check(_ status: UInt32) throws(Failure) {
    guard status != HPCC_OK.rawValue else { return }
    let reason =
      switch hpcc_status(rawValue: status) {
      case HPCC_TIMEOUT: "no message came in time from rank"
      case HPCC_CORRUPT: "a frame with a wrong checksum, by rank"
      case HPCC_ORDER: "a frame or message is missing, by rank"
      case HPCC_WRONG: "a wrong result on rank"
      case HPCC_SINGULAR: "a singular matrix on rank"
      default: "sizes that the program does not support; rank"
      }
    throw Failure("compute on the host", cause: "\(reason) \(ranks.pointee.culprit)")
  }

  func sample() throws -> MeasuredSample {
    try act(HPCC_PREPARE)
    var sample = MeasuredSample()
    sample.load = HostActivity.load
    let begin = clinux_monotonic_ns()
    let cpu = Self.processTime
    try act(HPCC_RUN)
    sample.nanoseconds = clinux_monotonic_ns() - begin
    sample.vCPUSeconds = Double(Self.processTime - cpu) / 1e9
    try act(HPCC_VERIFY)
    let result = ranks.pointee.result
    sample.operations = result.operations
    sample.bytes = result.bytes
    sample.values["residual"] = result.residual
    if result.p50 > 0 {
      sample.values.merge(["p50": result.p50, "p99": result.p99, "p999": result.p999]) { $1 }
    }
    return sample
  }

  /// Processor time of all threads, in nanoseconds. While the host is sampled, the others sleep.
  private static var processTime: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  func close() {
    guard isLeading else { return }
    isLeading = false
    // After a failure the followers have returned.
    try? act(HPCC_QUIT)
    for follower in followers { follower.join() }
  }
}
