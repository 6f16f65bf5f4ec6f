import CLinux
import Counters
import EventLoop
import Failures
import Glibc
import GuestMemory
import Threads

/// What stands between a guest's write and the disk, in QEMU's words for `cache=`.
public enum StorageCacheMode: String, Sendable, CaseIterable {
  /// O_DIRECT: no page cache; the guest's flush reaches the disk.
  case none
  /// The page cache; the guest's flush reaches the disk.
  case writeback
  /// The page cache, with O_DSYNC: a write that completes is durable, so the guest sees no volatile cache.
  case writethrough
  /// The page cache, and flushes are ignored. For disks that nobody will miss.
  case unsafe
}

/// A raw image or block device, through Linux AIO on the event loop.
///
/// Requests are submitted in batches by `commit`, up to 128 at once; more wait in a bounded queue. All state is owned by
/// the loop's thread. Only `none` is asynchronous in the kernel: with the page cache `io_submit` itself copies, and waits
/// for the disk where a read misses. Discarding and zeroing are calls of their own, made on the loop. So large requests
/// go in chunks, and a turn on the loop ends after `turn` bytes of work; the rest waits for the loop's other handlers.
// Unchecked: only the loop's thread uses its variables once `init` has returned.
public final class FileStorage: Storage, @unchecked Sendable {
  /// Requests the kernel has at once.
  static let depth = 128
  /// Requests that may wait behind those; further ones fail with EBUSY.
  static let queueLimit = 4096
  /// Bytes of a bounce buffer, and how many there are.
  static let bounceSize = 1 << 20
  static let bounceLimit = 4
  /// Pieces of one system call, and of one batch.
  static let maximumPieces = 1024
  static let arenaPieces = 4096
  /// Most bytes of one read or write, and of one call that discards or zeroes.
  static let chunk = 4 << 20
  static let rangeChunk = 64 << 20
  /// Bytes after which a turn ends. A discard or zeroing counts its length, within these bounds.
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
  /// What O_DIRECT asks of addresses and lengths; 1 with the page cache.
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
  /// Bytes that are left of this turn.
  var budget = 0
  private var isScheduled = false
  /// `cancel` runs: nothing new begins.
  private(set) var isCancelling = false
  /// What an fdsync failed with. The kernel says so once and takes the pages that it could not write for clean, so a
  /// later fdsync would succeed though the data is lost.
  var lostWrites: Int32?
  /// The pieces of one batch; the kernel copies them as it takes the batch.
  let arena = UnsafeMutablePointer<iovec>.allocate(capacity: FileStorage.arenaPieces)
  var arenaUsed = 0
  let batch = UnsafeMutablePointer<UnsafeMutablePointer<iocb>?>.allocate(capacity: FileStorage.depth)
  let events = UnsafeMutablePointer<io_event>.allocate(capacity: FileStorage.depth)

  /// Opens `path`, a raw image or a block device of whole 512-byte sectors, and locks it: for this VM alone, or against
  /// writers when it is read-only.
  ///
  /// `counters` are the loop's: bounces and copied bytes are added on its thread.
  ///
  /// - Parameter takesAnyFormat: a file that begins like an image of another format is taken as a raw one.
  /// - Throws: `Failure` with what to do when it is missing, not a disk, of an odd size, of another format, mounted, locked,
  ///   or forbidden, or when `none` is asked of a file system without O_DIRECT.
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
        // A turn that did nothing, with nothing to wait for, will do nothing the next time either. One that did a part of a
        // long range shows in the budget alone.
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

  /// Waits for what was submitted, then lets go of the file and its lock. Later requests fail. On any thread.
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

  /// Waits for the kernel to let go of every buffer.
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
    // A client may submit and commit again while it hears of an end below.
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

  /// Lets the loop's other handlers have their turn before what is left.
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

/// The ring in which the kernel reports completions. It signals each one whether the loop polls or not.
private final class CompletionRing: PolledSource {
  private weak let storage: FileStorage?
  init(_ storage: FileStorage) { self.storage = storage }

  func check() -> Bool { storage?.context.map { clinux_aio_has_completions($0) != 0 } ?? false }
  func serve() { storage?.reap(waiting: false) }
  func arm() -> Bool { check() }
  func disarm() {}
}

/// One of the kernel's slots: a control block and how far its request has come.
final class FileOperation {
  enum Step {
    case transfer
    /// A part of a range that is discarded or zeroed by a call.
    case range
    /// The fdsync of a flush, or the one after a durable write.
    case sync
  }
  let block = UnsafeMutablePointer<iocb>.allocate(capacity: 1)
  var request: StorageRequest?
  var step = Step.transfer
  /// Bytes that are done, of `length`.
  var done = 0
  var length = 0
  /// Bytes that the kernel was last asked for.
  var asked = 0
  /// Zeroes were written by `fallocate`, which O_DSYNC does not make durable.
  var usedFallocate = false
  /// Set when the pieces do not suit O_DIRECT or are too many, and for writing zeroes.
  var bounce: UnsafeMutableRawBufferPointer?

  init() { block.initialize(to: iocb()) }
  deinit { block.deallocate() }
}
