import Bus
import Registers

/// The state that a virtio device's lock owns: the core of every device, and the state of a disk or a NIC.
///
/// A value inside `Guarded`, which only `VirtioFunction.access` changes. A device implements the requirements below.
/// The extension is the transport (VIRTIO 1.2, 4.1.4), which calls them.
protocol VirtioState {
  /// Work for the loop after the lock is released.
  associatedtype Work

  var core: VirtioCore { get set }

  /// The byte at `offset` of the device-specific configuration.
  func readDeviceConfiguration(_ offset: Int) -> UInt8

  mutating func writeDeviceConfiguration(_ offset: Int, _ value: UInt8)

  /// Serves a batch of available requests of `queue`.
  ///
  /// - Returns: whether more may be left.
  mutating func process(queue: Int, into work: inout Work) -> Bool

  /// Whether the device can work with the features that the driver chose (3.1.1, step 5).
  func accepts(features: UInt64) -> Bool

  /// The driver added bits to the device status.
  mutating func statusChanged(_ status: UInt8)

  /// The driver resets the device. Requests may still be in flight.
  mutating func deviceReset()
}

extension VirtioState {
  // MARK: BAR 0, except the notification structure

  mutating func read(_ access: BusAccess) -> UInt64 {
    let offset = access.offset & 0xFFF
    switch access.offset & ~0xFFF {
    case VirtioFunction.Layout.common: return core.readCommon(offset, width: access.width)
    case VirtioFunction.Layout.isr: return offset == 0 ? UInt64(core.readISR()) : 0
    case VirtioFunction.Layout.device:
      var value: UInt64 = 0
      for index in 0..<access.width {
        value |= UInt64(readDeviceConfiguration(Int(offset) + index)) << UInt64(8 * index)
      }
      return value
    default: return 0
    }
  }

  mutating func write(_ access: BusAccess, _ value: UInt64) {
    let offset = access.offset & 0xFFF
    switch access.offset & ~0xFFF {
    case VirtioFunction.Layout.common where offset == VirtioCommon.deviceStatus:
      writeStatus(UInt8(truncatingIfNeeded: value))
    case VirtioFunction.Layout.common: core.writeCommon(offset, width: access.width, value)
    case VirtioFunction.Layout.device:
      for index in 0..<access.width {
        writeDeviceConfiguration(Int(offset) + index, UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
      }
    default: break
    }
  }

  /// Writes `device_status` (2.1).
  private mutating func writeStatus(_ value: UInt8) {
    guard !core.registers.isResetting else { return }
    if value == 0 {
      guard core.registers.status != 0 else { return }
      deviceReset()
      return core.beginReset()
    }
    var accepted = value & ~VirtioStatus.needsReset
    if value & VirtioStatus.featuresOK != 0, core.registers.status & VirtioStatus.featuresOK == 0 {
      // Accept only offered features, and only with VERSION_1 (6.1).
      let chosen = core.registers.driverFeatures
      if chosen & ~core.offeredFeatures != 0 || chosen & VirtioFeature.version1 == 0 || !accepts(features: chosen) {
        accepted &= ~VirtioStatus.featuresOK
        core.counters.add(.badRequest)
      }
    }
    // A driver only adds bits; a reset clears them (2.1.1).
    core.registers.status |= accepted
    statusChanged(core.registers.status)
    if value & VirtioStatus.driverOK != 0 { core.wakeAll() }
  }

  // MARK: Queues

  /// Serves a queue after a kick.
  @inline(__always)
  mutating func serve(queue: Int, into work: inout Work) {
    guard core.isRunning, core.queues[queue].isEnabled else { return }
    core.counters.add(.doorbells)
    // Work may be left after a batch: continue after the other handlers of the loop.
    if process(queue: queue, into: &work) { core.continueLater(queue: queue) }
    // Publishes requests that were pushed while bus mastering was off.
    if core.queues[queue].hasUnpublished { core.publish(queue: queue) }
  }
}
