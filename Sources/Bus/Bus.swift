import Counters
import Synchronization
import Threads

/// Is notified when ranges are mapped and unmapped, to bind their accelerations to KVM.
public protocol BusObserver: AnyObject, Sendable {
  func mapped(_ range: BusRange)
  /// Called while the range is still on the bus, so that held writes to it still reach its target.
  func willUnmap(_ range: BusRange)
}

/// Holds coalesced writes: KVM's ring.
public protocol WriteCoalescer: AnyObject, Sendable {
  /// Applies all held writes, in order. Called without any device's lock held.
  func applyHeldWrites()
}

/// The port space and the memory space of one machine. Finds the device that answers an access.
public final class Bus: Sendable {
  private struct Spaces {
    var port: [BusRange] = []
    var memory: [BusRange] = []
    var observer: (any BusObserver)?
    var coalescer: (any WriteCoalescer)?

    /// The range that contains `address`.
    func find(_ space: AddressSpaceKind, _ address: UInt64) -> BusRange? {
      let ranges = space == .port ? port : memory
      var low = 0
      var high = ranges.count
      while low < high {
        let middle = (low + high) / 2
        if ranges[middle].base <= address { low = middle + 1 } else { high = middle }
      }
      guard low > 0, ranges[low - 1].contains(address) else { return nil }
      return ranges[low - 1]
    }
  }

  private let spaces = Guarded(.leaf, Spaces())
  private let ending = Atomic(false)

  public init() {}

  /// Sets the observer. Reports ranges that are already mapped at once.
  public func observe(_ observer: any BusObserver) {
    let present = spaces.withLock { spaces in
      spaces.observer = observer
      return spaces.port + spaces.memory
    }
    for range in present { observer.mapped(range) }
  }

  public func connect(_ coalescer: any WriteCoalescer) { spaces.withLock { $0.coalescer = coalescer } }

  /// Applies writes that KVM holds. The caller must not hold a device's lock.
  public func applyHeldWrites() { spaces.withLock { $0.coalescer }?.applyHeldWrites() }

  /// Releases accesses that wait for a device, because the machine ends.
  public func endWaiting() { ending.store(true, ordering: .releasing) }
  var isEnding: Bool { ending.load(ordering: .acquiring) }

  /// Maps `range`. Returns false, and changes nothing, if it is empty, wraps around or overlaps another range.
  @discardableResult
  public func map(_ range: BusRange) -> Bool {
    let (end, overflow) = range.base.addingReportingOverflow(range.size)
    guard range.size > 0, !overflow || end == 0 else { return false }
    let (added, observer) = spaces.withLock { spaces -> (Bool, (any BusObserver)?) in
      var ranges = range.space == .port ? spaces.port : spaces.memory
      let place = ranges.firstIndex { $0.base > range.base } ?? ranges.count
      if place > 0, ranges[place - 1].contains(range.base) { return (false, nil) }
      if place < ranges.count, ranges[place].base - range.base < range.size { return (false, nil) }
      ranges.insert(range, at: place)
      if range.space == .port { spaces.port = ranges } else { spaces.memory = ranges }
      return (true, spaces.observer)
    }
    observer?.mapped(range)
    return added
  }

  /// Unmaps `range`, if it is mapped.
  public func unmap(_ range: BusRange) {
    let observer = spaces.withLock { spaces in
      spaces.find(range.space, range.base) === range ? spaces.observer : nil
    }
    observer?.willUnmap(range)
    spaces.withLock { spaces in
      spaces.port.removeAll { $0 === range }
      spaces.memory.removeAll { $0 === range }
    }
  }

  /// Removes all ranges, the observer and the coalescer. This breaks the reference cycles between bus and devices when
  /// a machine ends.
  public func removeAll() {
    spaces.withLock { $0 = Spaces() }
  }

  /// The names of all ranges, ports first.
  public var rangeNames: [String] { spaces.withLock { ($0.port + $0.memory).map(\.name) } }

  /// The range that contains `address`.
  public func range(_ space: AddressSpaceKind, at address: UInt64) -> BusRange? {
    spaces.withLock { $0.find(space, address) }
  }

  /// Fills `buffer` with elements of `width` bytes, all read at `address`. Without a range, fills it with ones, as a PC
  /// does. Returns the range that answered.
  @discardableResult
  public func read(
    _ space: AddressSpaceKind, _ address: UInt64, width: Int, into buffer: UnsafeMutableRawBufferPointer
  ) -> BusRange? {
    guard let range = range(space, at: address) else {
      for index in buffer.indices { buffer[index] = 0xFF }
      return nil
    }
    let access = BusAccess(region: range.region, offset: address - range.base, width: width)
    if buffer.count == width {
      storeElement(range.target.read(access), width: width, to: buffer, at: 0)
    } else {
      range.target.readBlock(access, into: buffer)
    }
    return range
  }

  /// Writes the elements in `buffer`, all to `address`. Returns the range that answered.
  @discardableResult
  public func write(
    _ space: AddressSpaceKind, _ address: UInt64, width: Int, from buffer: UnsafeRawBufferPointer
  ) -> BusRange? {
    guard let range = range(space, at: address) else { return nil }
    let access = BusAccess(region: range.region, offset: address - range.base, width: width)
    if buffer.count == width {
      range.target.write(access, loadElement(width: width, from: buffer, at: 0))
    } else {
      range.target.writeBlock(access, from: buffer)
    }
    return range
  }
}

/// Single accesses by value, for tests and the coalesced ring.
extension Bus {
  public func read(_ space: AddressSpaceKind, _ address: UInt64, width: Int) -> UInt64 {
    var value: UInt64 = 0
    withUnsafeMutableBytes(of: &value) { bytes in
      _ = read(space, address, width: width, into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<width]))
    }
    return value
  }

  public func write(_ space: AddressSpaceKind, _ address: UInt64, width: Int, _ value: UInt64) {
    withUnsafeBytes(of: value) { bytes in
      _ = write(space, address, width: width, from: UnsafeRawBufferPointer(rebasing: bytes[0..<width]))
    }
  }
}
