import EventLoop
import Glibc
import Registers
import Synchronization
import Threads

/// The fixed identity of a PCI function (PCI 3.0, 6.2.1).
public struct PCIIdentity: Sendable {
  public var vendor: UInt16
  public var device: UInt16
  public var baseClass: UInt8
  public var subclass: UInt8
  public var programmingInterface: UInt8 = 0
  public var revision: UInt8 = 0
  public var subsystemVendor: UInt16 = 0
  public var subsystem: UInt16 = 0
  /// 1 for INTA#, 0 for none.
  public var interruptPin: UInt8 = 0
  /// Command bit 8 is writable. No device here reports system errors.
  public var hasSystemErrorEnable = false
  /// Bit 7 of the header type: the device has other functions too.
  public var isMultiFunction = false

  public init(vendor: UInt16, device: UInt16, baseClass: UInt8, subclass: UInt8) {
    self.vendor = vendor
    self.device = device
    self.baseClass = baseClass
    self.subclass = subclass
  }
}

/// A base address register: the kind and the size of the range that it maps.
public struct PCIBaseAddress: Sendable {
  public let kind: AddressSpaceKind
  /// Size in bytes: a power of two, at least 4 for ports and 16 for memory.
  public let size: UInt32
  public let accelerations: [Acceleration]

  public init(kind: AddressSpaceKind, size: UInt32, accelerations: [Acceleration] = []) {
    self.kind = kind
    self.size = size
    self.accelerations = accelerations
  }

  /// The writable bits.
  var addressMask: UInt32 { ~(size &- 1) & (kind == .port ? 0xFFFF_FFFC : 0xFFFF_FFF0) }
  /// The low bits, which encode the kind (PCI 3.0, 6.2.5.1).
  var typeBits: UInt32 { kind == .port ? 1 : 0 }
}

/// One function on the PCI bus: its configuration space, its base addresses and its interrupt pin.
///
/// Configuration space has its own lock. A device overrides `read` and `write` for its registers, where `access.region`
/// is the index of the BAR. It also overrides the hooks at the end.
// Unchecked: Swift checks final classes only; all state here is in `Guarded`.
open class PCIFunction: BusTarget, @unchecked Sendable {
  struct Configuration {
    var bytes: [UInt8]
    /// The writable bits of each byte.
    var writable: [UInt8]
    var bars: [PCIBaseAddress?]
    var mapped: [BusRange?]
    var nextCapability: Int
    var lastCapability: Int
  }

  public let name: String
  private let configuration: Guarded<Configuration>
  private let busMaster = Atomic(false)
  private let interruptsDisabled = Atomic(false)
  private let bus = Guarded<Bus?>(.leaf, nil)
  private let line = Guarded<(any InterruptLine)?>(.pin, nil)
  private let pinAsserted = Guarded(.leaf, false)

  public init(name: String, identity: PCIIdentity, bars: [PCIBaseAddress?]) {
    self.name = name
    var bytes = [UInt8](repeating: 0, count: 256)
    var writable = bytes
    func put16(_ offset: Int, _ value: UInt16) {
      bytes[offset] = UInt8(truncatingIfNeeded: value)
      bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
    }
    put16(PCIRegister.vendorID, identity.vendor)
    put16(PCIRegister.deviceID, identity.device)
    bytes[PCIRegister.revisionID] = identity.revision
    bytes[PCIRegister.programmingInterface] = identity.programmingInterface
    bytes[PCIRegister.subclass] = identity.subclass
    bytes[PCIRegister.baseClass] = identity.baseClass
    bytes[PCIRegister.headerType] = identity.isMultiFunction ? 0x80 : 0
    put16(PCIRegister.subsystemVendorID, identity.subsystemVendor)
    put16(PCIRegister.subsystemID, identity.subsystem)
    bytes[PCIRegister.interruptPin] = identity.interruptPin
    writable[PCIRegister.cacheLineSize] = 0xFF
    writable[PCIRegister.latencyTimer] = 0xFF
    writable[PCIRegister.interruptLine] = 0xFF
    var command = PCICommand.busMaster | PCICommand.interruptDisable
    if identity.hasSystemErrorEnable { command |= PCICommand.systemErrorEnable }
    for (index, bar) in bars.enumerated() {
      guard let bar else { continue }
      command |= bar.kind == .port ? PCICommand.ioSpace : PCICommand.memorySpace
      let offset = PCIRegister.bar0 + 4 * index
      bytes[offset] = UInt8(bar.typeBits)
      for byte in 0..<4 { writable[offset + byte] = UInt8(truncatingIfNeeded: bar.addressMask >> UInt32(8 * byte)) }
    }
    writable[PCIRegister.command] = UInt8(truncatingIfNeeded: command)
    writable[PCIRegister.command + 1] = UInt8(truncatingIfNeeded: command >> 8)
    configuration = Guarded(
      .configuration,
      Configuration(
        bytes: bytes, writable: writable, bars: bars, mapped: Array(repeating: nil, count: bars.count),
        nextCapability: 0x40, lastCapability: PCIRegister.capabilitiesPointer))
  }

  /// Whether the guest lets the function do DMA (command bit 2).
  public final var isBusMaster: Bool { busMaster.load(ordering: .acquiring) }

  // MARK: Assembly of a machine

  /// Adds a capability with `body` after its two header bytes. Returns its offset.
  ///
  /// `writable` has the writable bits of the body; missing bytes are read-only.
  @discardableResult
  public final func addCapability(_ id: UInt8, _ body: [UInt8], writable: [UInt8] = []) -> Int {
    configuration.withLock { space in
      let offset = space.nextCapability
      space.bytes[space.lastCapability] = UInt8(offset)
      space.bytes[offset] = id
      space.bytes[offset + 1] = 0
      for (index, byte) in body.enumerated() { space.bytes[offset + 2 + index] = byte }
      for (index, byte) in writable.enumerated() { space.writable[offset + 2 + index] = byte }
      space.bytes[PCIRegister.status] |= UInt8(PCIStatus.capabilitiesList)
      space.lastCapability = offset + 1
      space.nextCapability = (offset + 2 + body.count + 3) & ~3
      return offset
    }
  }

  /// Sets a byte and its writable bits.
  public final func setConfiguration(_ offset: Int, _ value: UInt8, writable: UInt8 = 0) {
    configuration.withLock { space in
      space.bytes[offset] = value
      space.writable[offset] = writable
    }
  }

  /// Connects the function to the machine: to the bus for its BARs, and to the line that its pin drives.
  ///
  /// - Parameter interruptLine: the value of the Interrupt Line register, for a function with a pin.
  public final func attach(to bus: Bus, line: (any InterruptLine)?, interruptLine: UInt8) {
    self.bus.withLock { $0 = bus }
    self.line.withLock { $0 = line }
    configuration.withLock { space in
      if space.bytes[PCIRegister.interruptPin] != 0 { space.bytes[PCIRegister.interruptLine] = interruptLine }
    }
  }

  /// Disconnects the function from the machine: unmaps its BARs and releases its line.
  public final func unplug() {
    let bus = self.bus.withLock { bus in
      defer { bus = nil }
      return bus
    }
    configuration.withLock { space in
      for index in space.mapped.indices {
        if let range = space.mapped[index] { bus?.unmap(range) }
        space.mapped[index] = nil
      }
    }
    line.withLock { $0 = nil }
  }

  /// Assigns BAR `index`, as firmware does. The BAR is mapped when the command register enables its space.
  public final func assign(bar index: Int, to address: UInt32) {
    for byte in 0..<4 {
      writeConfiguration(PCIRegister.bar0 + 4 * index + byte, UInt8(truncatingIfNeeded: address >> UInt32(8 * byte)))
    }
  }

  public final var baseAddresses: [PCIBaseAddress?] { configuration.withLock { $0.bars } }

  // MARK: Configuration space

  /// `width` bytes at `offset`, little-endian; all ones if they are not within the 256 bytes.
  public final func readConfiguration(_ offset: Int, width: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<width {
      guard (0..<256).contains(offset + index) else { return ~0 }
      let byte = configurationByte(offset + index)
      value |= UInt32(byte) << UInt32(8 * index)
    }
    return value
  }

  /// The stored byte, without the hook `readDynamicConfiguration`.
  public final func storedConfiguration(_ offset: Int) -> UInt8 { configuration.withLock { $0.bytes[offset & 0xFF] } }

  private func configurationByte(_ offset: Int) -> UInt8 {
    if let byte = readDynamicConfiguration(offset) { return byte }
    var byte = configuration.withLock { $0.bytes[offset] }
    if offset == PCIRegister.status, pinAsserted.withLock({ $0 }) { byte |= UInt8(PCIStatus.interrupt) }
    return byte
  }

  /// Writes `width` bytes at `offset`. Read-only bits do not change.
  ///
  /// - Returns: whether a BAR was unmapped, so that another function may map its addresses.
  @discardableResult
  public final func writeConfiguration(_ offset: Int, _ value: UInt32, width: Int) -> Bool {
    for index in 0..<width where (0..<256).contains(offset + index) {
      storeConfigurationByte(offset + index, UInt8(truncatingIfNeeded: value >> UInt32(8 * index)))
    }
    return applyConfiguration(offset, width: width)
  }

  private func writeConfiguration(_ offset: Int, _ value: UInt8) {
    storeConfigurationByte(offset, value)
    _ = applyConfiguration(offset, width: 1)
  }

  private func storeConfigurationByte(_ offset: Int, _ value: UInt8) {
    configuration.withLock { space in
      let mask = space.writable[offset]
      space.bytes[offset] = (space.bytes[offset] & ~mask) | (value & mask)
    }
  }

  /// Applies the written registers: decoding, bus mastering, the pin. Returns whether a BAR was unmapped.
  private func applyConfiguration(_ offset: Int, width: Int) -> Bool {
    var gaveRoom = false
    let touched = offset..<(offset + width)
    if touched.overlaps(PCIRegister.command..<PCIRegister.status) || touched.overlaps(PCIRegister.bar0..<0x28) {
      let command = UInt16(truncatingIfNeeded: readConfiguration(PCIRegister.command, width: 2))
      busMaster.store(command & PCICommand.busMaster != 0, ordering: .releasing)
      let disabled = command & PCICommand.interruptDisable != 0
      if interruptsDisabled.exchange(disabled, ordering: .acquiringAndReleasing) != disabled { drivePin() }
      gaveRoom = remapBaseAddresses(command: command)
    }
    for byte in touched where (0..<256).contains(byte) { configurationWritten(byte) }
    return gaveRoom
  }

  /// Retries BARs and other ranges that could not be mapped, because another function has unmapped a BAR.
  final func retryBaseAddresses() {
    _ = remapBaseAddresses(command: UInt16(truncatingIfNeeded: readConfiguration(PCIRegister.command, width: 2)))
    roomWasFreed()
  }

  /// Maps the BARs at the addresses in their registers, unless another range is there. Returns whether one was
  /// unmapped.
  private func remapBaseAddresses(command: UInt16) -> Bool {
    guard let bus = bus.withLock({ $0 }) else { return false }
    return configuration.withLock { space in
      var gaveRoom = false
      // Unmap all BARs that move first: one BAR may move to the old addresses of another.
      var wanted: [(index: Int, bar: PCIBaseAddress, base: UInt64)] = []
      for (index, bar) in space.bars.enumerated() {
        guard let bar else { continue }
        let offset = PCIRegister.bar0 + 4 * index
        var raw: UInt32 = 0
        for byte in 0..<4 { raw |= UInt32(space.bytes[offset + byte]) << UInt32(8 * byte) }
        let base = UInt64(raw & bar.addressMask)
        let enable = bar.kind == .port ? PCICommand.ioSpace : PCICommand.memorySpace
        // Do not decode address 0 and the all-ones pattern of sizing.
        let limit: UInt64 = bar.kind == .port ? 0x1_0000 : 0xFEC0_0000
        let decodes = command & enable != 0 && base != 0 && base + UInt64(bar.size) <= limit
        if let present = space.mapped[index] {
          if decodes && present.base == base { continue }
          bus.unmap(present)
          space.mapped[index] = nil
          gaveRoom = true
        }
        if decodes { wanted.append((index, bar, base)) }
      }
      for (index, bar, base) in wanted {
        let range = BusRange(
          "\(name).bar\(index)", bar.kind, at: base, size: UInt64(bar.size), target: self, region: index,
          accelerations: bar.accelerations)
        if bus.map(range) { space.mapped[index] = range }
      }
      return gaveRoom
    }
  }

  /// Makes an access that turned bus mastering off wait until `isIdle`. After the access, the guest may reuse the
  /// memory of the device's requests. Called on a vCPU's thread, without a lock of the device.
  ///
  /// Polls, because this is rare, and so that it never misses the end of the machine (`Bus.endWaiting`). If the loop
  /// has no thread of its own, runs the loop here.
  public final func letRequestsEnd(on loop: EventLoop, _ isIdle: () -> Bool) {
    guard let bus = bus.withLock({ $0 }) else { return }
    while !isIdle(), !bus.isEnding, !loop.isOnLoop {
      if loop.hasThread { usleep(50) } else if !loop.runOnce() { return }
    }
  }

  /// Applies writes that KVM holds. The caller must not hold a device's lock.
  public final func applyHeldWrites() { bus.withLock { $0 }?.applyHeldWrites() }

  // MARK: The interrupt pin

  /// Drives INTA#, unless the guest has disabled it (command bit 10).
  public final func setPin(asserted: Bool) {
    pinAsserted.withLock { $0 = asserted }
    drivePin()
  }

  private func drivePin() {
    // Reads the level and drives the line under one lock, so that two threads cannot swap their order.
    line.withLock { line in
      let asserted = pinAsserted.withLock { $0 } && !interruptsDisabled.load(ordering: .acquiring)
      line?.set(asserted: asserted)
    }
  }

  // MARK: Registers, for a device to override

  open func read(_ access: BusAccess) -> UInt64 { ~0 }
  open func write(_ access: BusAccess, _ value: UInt64) {}
  open func readBlock(_ access: BusAccess, into buffer: UnsafeMutableRawBufferPointer) {
    readElements(access, into: buffer)
  }
  open func writeBlock(_ access: BusAccess, from buffer: UnsafeRawBufferPointer) { writeElements(access, from: buffer) }
  open func registerName(_ access: BusAccess, isWrite: Bool) -> String? { nil }

  // MARK: Hooks

  /// A byte that the device computes; nil for the stored byte.
  open func readDynamicConfiguration(_ offset: Int) -> UInt8? { nil }

  /// Called after the guest wrote the byte at `offset`.
  open func configurationWritten(_ offset: Int) {}

  /// Called after another function has unmapped a BAR. Ranges other than BARs that could not be mapped may try again.
  open func roomWasFreed() {}
}
