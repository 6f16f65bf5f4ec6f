import CLinux
import Failures
import Glibc
import Synchronization
import Threads

/// Shows pages of registers to the guest as RAM: KVM, by memory slots.
public protocol PageMapper: AnyObject, Sendable {
  /// Makes the page at `host` RAM at `address`. Returns a number for `unmapPage`; nil if that was not possible.
  func mapPage(_ host: UnsafeMutableRawPointer, at address: UInt64) -> UInt32?
  /// Ends what `mapPage` began. Afterwards no vCPU accesses the page.
  func unmapPage(_ number: UInt32)
}

/// A page of registers that is RAM for the guest while its device shows it: a store is then only a store, without an
/// exit, and nothing tells the device.
///
/// The device finds the stores by looking at `words`. When it does not want to look any more, it *closes* the page: then
/// the next store makes KVM_RUN fail, the page is opened again, `stored` is signalled, and the guest repeats the store.
/// The page is in memory that is mapped twice: once for the guest, with a protection that opens and closes, and once for
/// the device, which can always read and write it. No other part of the VMM can reach it, and no DMA.
///
/// Any thread may call it.
// Unchecked: the addresses never change, and the memory behind them is shared with the guest by design.
public final class RegisterPage: @unchecked Sendable {
  public static let size = 4096

  private struct State {
    var mapper: (any PageMapper)?
    var address: UInt64 = 0
    /// The number that the mapper gave; nil while the page is not shown.
    var number: UInt32?
  }

  private let state = Guarded<State>(.registerPage, State())
  private let shown = Atomic(false)
  private let closed = Atomic(false)
  private let guestView: UnsafeMutableRawPointer
  private let deviceView: UnsafeMutableRawPointer
  private let stored: EventDescriptor

  /// - Parameter stored: signalled when the guest opens the page by a store, shortly before the store is done.
  public init(stored: EventDescriptor) throws(Failure) {
    self.stored = stored
    let memory = try systemCall("create a page of registers") { clinux_shared_memory(Self.size) }
    defer { _ = Glibc.close(memory) }
    func map() throws(Failure) -> UnsafeMutableRawPointer {
      let mapped = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0)
      guard let mapped, mapped != clinux_map_failed() else { throw Failure("map a page of registers", errno: errno) }
      return mapped
    }
    guestView = try map()
    do {
      deviceView = try map()
    } catch {
      munmap(guestView, Self.size)
      throw error
    }
  }

  deinit {
    munmap(guestView, Self.size)
    munmap(deviceView, Self.size)
  }

  // MARK: For the machine

  /// The range of the page was mapped: from now on the device may show the page, at `address`.
  public func place(at address: UInt64, by mapper: any PageMapper) {
    state.withLock { state in
      state.mapper = mapper
      state.address = address
    }
  }

  /// The range of the page is about to be unmapped. Hides the page.
  public func displace() {
    state.withLock { state in
      hide(&state)
      state.mapper = nil
    }
  }

  /// A vCPU could not store. Opens the page if it is closed.
  public func open() {
    state.withLock { state in if state.number != nil, setClosed(false) { stored.signal() } }
  }

  // MARK: For the device

  /// Whether the guest's accesses to the page do not exit.
  public var isShown: Bool { shown.load(ordering: .acquiring) }

  /// Whether the guest can store without a signal of `stored`.
  public var isOpen: Bool { isShown && !closed.load(ordering: .acquiring) }

  /// Shows the page, open, with its present contents.
  ///
  /// - Returns: whether it is shown. It is not if its range is not mapped, or if KVM refuses.
  public func show() -> Bool {
    state.withLock { state in
      guard state.number == nil else { return true }
      state.number = state.mapper?.mapPage(guestView, at: state.address)
      shown.store(state.number != nil, ordering: .releasing)
      return state.number != nil
    }
  }

  /// Hides the page: accesses exit. The last stores are in `words` when this returns.
  public func hide() { state.withLock { hide(&$0) } }

  /// Closes the page. When this returns, an earlier store is in `words`, and a later one opens the page.
  public func close() {
    state.withLock { state in if state.number != nil { _ = setClosed(true) } }
  }

  private func hide(_ state: inout State) {
    guard let number = state.number else { return }
    state.mapper?.unmapPage(number)
    state.number = nil
    shown.store(false, ordering: .releasing)
    _ = setClosed(false)
  }

  /// Returns whether that changed anything.
  private func setClosed(_ isClosed: Bool) -> Bool {
    guard closed.load(ordering: .relaxed) != isClosed else { return false }
    // If the host refuses, the page stays as it was: open and looked at, or closed, and the guest crashes.
    guard mprotect(guestView, Self.size, isClosed ? PROT_READ : PROT_READ | PROT_WRITE) == 0 else { return false }
    closed.store(isClosed, ordering: .releasing)
    return true
  }

  /// The registers as they are in memory now.
  public var words: Words { Words(address: deviceView) }

  /// The registers of a page, by their offset in bytes, a multiple of 4. Valid as long as the page.
  // Unchecked: the memory is shared with the guest by design, and accessed by atomic operations only.
  public struct Words: @unchecked Sendable {
    @usableFromInline let address: UnsafeMutableRawPointer

    fileprivate init(address: UnsafeMutableRawPointer) { self.address = address }

    @inlinable
    public subscript(offset: UInt32) -> UInt32 {
      @inline(__always) get { clinux_load_acquire_u32(address + Int(offset & 0xFFC)) }
      @inline(__always) nonmutating set { clinux_store_release_u32(address + Int(offset & 0xFFC), newValue) }
    }

    /// Replaces `old`, unless the guest has stored another value meanwhile.
    public func replace(_ old: UInt32, by value: UInt32, at offset: UInt32) {
      _ = clinux_compare_exchange_u32(address + Int(offset & 0xFFC), old, value)
    }
  }
}
