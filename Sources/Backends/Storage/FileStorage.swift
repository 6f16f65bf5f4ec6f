import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Threads

/// The caches between a guest's write and the disk, with QEMU's names for `cache=`.
public enum StorageCacheMode: String, Sendable, CaseIterable {
  /// O_DIRECT: no page cache; the guest's flush reaches the disk.
  case none
  /// The page cache; the guest's flush reaches the disk.
  case writeback
  /// The page cache with O_DSYNC. A completed write is durable, so the guest sees no volatile cache.
  case writethrough
  /// The page cache, and flushes are ignored. For disks whose loss does not matter.
  case unsafe
}

/// A raw image or block device, accessed by Linux AIO on the event loop.
///
/// `commit` submits requests in batches. The kernel has up to 128 at once, and more wait in a bounded queue. The loop's
/// thread owns all state.
///
/// Only the cache mode `none` is asynchronous in the kernel. With the page cache, `io_submit` itself copies the data,
/// and waits for the disk if a read misses the cache. A discard or zeroing is a blocking system call on the loop.
/// Therefore large requests go in chunks, and a turn ends after `turn` bytes so that the loop's other handlers can run.
// Unchecked: only the loop's thread uses its variables once `init` has returned.
public final class FileStorage: Storage, @unchecked Sendable {
  /// Requests that the kernel has at once.
  static let depth = 128
  /// Requests that may wait behind those; further ones fail with EBUSY.
  static let queueLimit = 4096
  /// Bytes of a bounce buffer, and how many there are.
  static let bounceSize = 1 << 20
  static let bounceLimit = 4
  /// Pieces of one system call, and of one batch.
  static let maximumPieces = 1024
  static let arenaPieces = 4096
  /// The most bytes of one read or write, and of one discard or zeroing call.
  static let chunk = 4 << 20
  static let rangeChunk = 64 << 20
  /// Bytes after which a turn ends. A discard or zeroing counts its length, clamped to `rangeCost`.
  static let turn = 16 << 20
  static let rangeCost = 256 << 10...turn

  public let path: String
  public let cache: StorageCacheMode
  public let sectorCount: UInt64
  public let isReadOnly: Bool
  public let kind = "file"
  public var hasVolatileCache: Bool { cache != .writethrough }
  public var supportsDiscard: Bool { !isReadOnly }
  public var supportsWriteZeroes: Bool { !isReadOnly }

  let loop: EventLoop
  let counters: Counters
  /// The alignment of addresses and lengths that O_DIRECT requires; 1 with the page cache.
  let memoryAlignment: Int
  let lengthAlignment: Int
  private(set) var descriptor: Int32
  var context: io_context_t?
  let notification: EventDescriptor
  private var watch: EventLoop.WatchKey?
  private var completions: CompletionRing?

  /// Requests that wait, from `queueHead` on.
  var queue: [StorageRequest] = []
  var queueHead = 0
  let operations: [FileOperation]
  var freeOperations: [Int]
  /// Operations that wait for `io_submit`.
  var ready: [Int] = []
  /// Operations that the kernel has.
  var inFlight = 0
  var freeBounces: [UnsafeMutableRawBufferPointer] = []
  var bounceCount = 0
  var isPumping = false
  var pumpsAgain = false
  /// Bytes left in this turn.
  var budget = 0
  private var isScheduled = false
  /// `cancel` is running, so nothing new starts.
  private(set) var isCancelling = false
  /// The errno value of a failed fdsync. The kernel reports the error once and then treats the unwritten pages as
  /// clean, so a later fdsync would succeed although the data is lost.
  var lostWrites: Int32?
  /// The pieces of one batch. The kernel copies them when it takes the batch.
  let arena = UnsafeMutablePointer<iovec>.allocate(capacity: FileStorage.arenaPieces)
  var arenaUsed = 0
  let batch = UnsafeMutablePointer<UnsafeMutablePointer<iocb>?>.allocate(capacity: FileStorage.depth)
  let events = UnsafeMutablePointer<io_event>.allocate(capacity: FileStorage.depth)

  /// Opens `path`, a raw image or a block device whose size is a multiple of 512 bytes, and locks it.
  ///
  /// The lock is exclusive. For a read-only disk it is shared, and excludes writers. `counters` belong to the loop:
  /// bounces and copied bytes are added on its thread.
  ///
  /// - Parameter takesAnyFormat: whether a file that looks like an image of another format is used as a raw one.
  /// - Throws: `Failure` if the file is missing, not a disk, not a multiple of 512 bytes, of another format, mounted,
  ///   locked or forbidden, or if the file system does not support O_DIRECT for `none`.
  public init(
    path: String, cache: StorageCacheMode = .writeback, isReadOnly: Bool = false, takesAnyFormat: Bool = false,
    loop: EventLoop, counters: Counters
  ) throws(Failure) {
    let opened = try OpenedDisk(path: path, cache: cache, isReadOnly: isReadOnly, takesAnyFormat: takesAnyFormat)
    self.path = path
    self.cache = cache
    self.isReadOnly = isReadOnly
    self.loop = loop
    self.counters = counters
    descriptor = opened.descriptor
    sectorCount = opened.size / 512
    memoryAlignment = opened.memoryAlignment
    lengthAlignment = opened.lengthAlignment
    operations = (0..<Self.depth).map { _ in FileOperation() }
    freeOperations = Array((0..<Self.depth).reversed())
    do {
      notification = try EventDescriptor()
    } catch {
      Glibc.close(opened.descriptor)
      throw error
    }
    queue.reserveCapacity(Self.depth)
    ready.reserveCapacity(Self.depth)
    var made: io_context_t?
    let result = io_setup(Int32(Self.depth), &made)
    guard result == 0 else {
      throw Failure(
        "set up asynchronous I/O for \(path)", errno: -result,
        fix: "Raise the limit: sudo sysctl fs.aio-max-nr=1048576")
    }
    context = made
    watch = try loop.watch(notification) { [weak self] in self?.reap(waiting: false) }
    let completions = CompletionRing(self)
    self.completions = completions
    loop.add(completions)
  }

  deinit {
    stopWatching()
    release()
    for bounce in freeBounces { bounce.deallocate() }
    for operation in operations { operation.bounce?.deallocate() }
    arena.deallocate()
    batch.deallocate()
    events.deallocate()
  }

  public func drain() {
    loop.sync { [self] in
      commit()
      while inFlight > 0 || !ready.isEmpty || queueHead < queue.count {
        let before = (ready.count, queue.count - queueHead)
        reap(waiting: true)
        // Stop if a turn made no progress and nothing is in flight: the next turn would be the same. Progress in a long
        // range shows only in the budget.
        if before == (ready.count, queue.count - queueHead), budget == Self.turn, inFlight == 0 { break }
      }
    }
  }

  public func cancel() {
    loop.sync { [self] in
      isCancelling = true
      let waiting = queue[queueHead...]
      queue.removeAll(keepingCapacity: true)
      queueHead = 0
      for request in waiting { finish(request, .failed(ECANCELED)) }
      let unstarted = ready
      ready.removeAll(keepingCapacity: true)
      for index in unstarted { end(index, .failed(ECANCELED)) }
      while inFlight > 0 { reap(waiting: true) }
      isCancelling = false
    }
  }

  /// Waits for submitted requests, then closes the file and releases its lock. Later requests fail. On any thread.
  public func close() {
    drain()
    loop.sync { [self] in
      stopWatching()
      release()
    }
  }

  private func stopWatching() {
    if let watch { loop.remove(watch) }
    if let completions { loop.remove(completions) }
    (watch, completions) = (nil, nil)
  }

  /// Closes the context and the file. `io_destroy` waits until the kernel no longer uses any buffer.
  private func release() {
    if let context { io_destroy(context) }
    context = nil
    if descriptor >= 0 { clinux_close_locked_file(descriptor) }
    descriptor = -1
  }

  // MARK: Storage

  public func submit(_ request: StorageRequest) {
    loop.assertOnLoop()
    if let refusal = refusal(of: request) { return finish(request, refusal) }
    guard descriptor >= 0 else { return finish(request, .failed(EBADF)) }
    guard !isCancelling else { return finish(request, .failed(ECANCELED)) }
    if request.operation == .flush, cache == .unsafe { return finish(request, .success) }
    guard queue.count - queueHead < Self.queueLimit else { return finish(request, .failed(EBUSY)) }
    queue.append(request)
  }

  public func commit() {
    loop.assertOnLoop()
    // A client may call `submit` and `commit` from its completion handler below.
    guard !isPumping else {
      pumpsAgain = true
      return
    }
    isPumping = true
    budget = Self.turn
    repeat {
      pumpsAgain = false
      startQueued()
      submitReady()
    } while pumpsAgain && budget > 0
    isPumping = false
    if budget <= 0 { goOnLater() }
  }

  /// Continues after the loop's other handlers have run.
  private func goOnLater() {
    guard !isScheduled else { return }
    isScheduled = true
    loop.post { [weak self] in
      self?.isScheduled = false
      self?.commit()
    }
  }

  func finish(_ request: StorageRequest, _ result: StorageResult) { request.client?.completed(request, result) }
}

/// The ring in which the kernel reports completions. The kernel signals each one even while the loop polls.
private final class CompletionRing: PolledSource {
  private weak let storage: FileStorage?
  init(_ storage: FileStorage) { self.storage = storage }

  func check() -> Bool {
    guard let storage, let context = storage.context else { return false }
    // The storage owns the ring.
    return withExtendedLifetime(storage) { clinux_aio_has_completions(context) != 0 }
  }
  func serve() { storage?.reap(waiting: false) }
  func arm() -> Bool { check() }
  func disarm() {}
}

/// One AIO slot: a control block and the progress of its request.
final class FileOperation {
  enum Step {
    case transfer
    /// A system call that discards or zeroes a part of a range.
    case range
    /// The fdsync of a flush or after a durable change.
    case sync
  }
  let block = UnsafeMutablePointer<iocb>.allocate(capacity: 1)
  var request: StorageRequest?
  var step = Step.transfer
  /// Bytes done, of `length`.
  var done = 0
  var length = 0
  /// Bytes of the last submission.
  var asked = 0
  /// `fallocate` wrote the zeroes, and O_DSYNC does not make that durable.
  var usedFallocate = false
  /// Set if the pieces are too many or not aligned for O_DIRECT, and for writing zeroes.
  var bounce: UnsafeMutableRawBufferPointer?

  init() { block.initialize(to: iocb()) }
  deinit { block.deallocate() }
}
