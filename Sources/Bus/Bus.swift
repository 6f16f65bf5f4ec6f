import Counters
import Synchronization
import Threads

/// Hears of ranges as they come and go, to bind their accelerations to KVM.
public protocol BusObserver: AnyObject, Sendable {
  func mapped(_ range: BusRange)
  /// The range is still on the bus, so that writes that are held back for it reach their owner.
  func willUnmap(_ range: BusRange)
}

/// Holds back coalesced writes: KVM's ring.
public protocol WriteCoalescer: AnyObject, Sendable {
  /// Applies the writes held back so far, in order. Called without any device's lock held.
  func applyHeldWrites()
}

/// Finds the device that answers an access: the port space and the memory space of one machine.
public final class Bus: Sendable {
  private struct Spaces {
    var port: [BusRange] = []
    var memory: [BusRange] = []
    var observer: (any BusObserver)?
    var coalescer: (any WriteCoalescer)?

    /// The last range that starts at or before `address`, if it holds it.
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

  /// Reports ranges to `observer` as they come and go; those that are mapped already are reported at once.
  public func observe(_ observer: any BusObserver) {
    let present = spaces.withLock { spaces in
      spaces.observer = observer
      return spaces.port + spaces.memory
    }
    for range in present { observer.mapped(range) }
  }

  public func connect(_ coalescer: any WriteCoalescer) { spaces.withLock { $0.coalescer = coalescer } }

  /// Lets an I/O thread see writes that may sit in the coalesced ring. No device's lock may be held.
  public func applyHeldWrites() { spaces.withLock { $0.coalescer }?.applyHeldWrites() }

  /// Lets accesses that wait for a device go on, since the machine ends.
  public func endWaiting() { ending.store(true, ordering: .releasing) }
  var isEnding: Bool { ending.load(ordering: .acquiring) }

  /// Claims `range`; false when it is empty, wraps around or overlaps another, and then nothing changes.
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

  /// Gives up `range`, if it is mapped.
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

  /// Takes everything off the bus: devices and bus hold each other, and a machine that ended lets go of both.
  public func removeAll() {
    spaces.withLock { $0 = Spaces() }
  }

  /// The names of all ranges, ports first.
  public var rangeNames: [String] { spaces.withLock { ($0.port + $0.memory).map(\.name) } }

  /// The range that holds `address`.
  public func range(_ space: AddressSpaceKind, at address: UInt64) -> BusRange? {
    spaces.withLock { $0.find(space, address) }
  }

  /// One element at `address`; all ones where nothing answers, as on a PC. Returns the range that answered.
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

  /// Writes the elements in `buffer`, all at `address`. Returns the range that answered.
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

/// Single accesses by value, as tests and the coalesced ring make them.
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
