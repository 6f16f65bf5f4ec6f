import CGuest

/// A virtio device on PCI: finds its structures, negotiates features and sets up queues (VIRTIO 1.2, 3.1 and 4.1).
final class VirtioDevice {
  let function: PCIDevice
  let common: UInt64
  let device: UInt64
  private let isr: UInt64
  private let notify: UInt64
  private let notifyMultiplier: UInt64
  private(set) var features: UInt64 = 0
  let usesMSIX: Bool
  private let tableAddress: UInt64

  /// Resets the `index`-th device of `type` and negotiates the features of `wanted` that it offers.
  init(type: UInt16, index: Int, wanted: UInt64) {
    guard let found = PCIDevice.find(vendor: VirtioPCI.vendor, device: VirtioPCI.deviceBase + type, index: index) else {
      fail("no such virtio device", UInt64(type))
    }
    function = found
    var places: (common: UInt64, isr: UInt64, device: UInt64, notify: UInt64) = (0, 0, 0, 0)
    var multiplier: UInt64 = 0
    var after = 0
    while let capability = found.capability(PCICapabilityID.vendorSpecific, after: after) {
      after = capability
      let type = found.read8(capability + VirtioPCI.capabilityType)
      guard type <= VirtioPCI.capabilityDevice else { continue }
      let bar = Int(found.read8(capability + VirtioPCI.capabilityBAR))
      let place = found.baseAddress(bar) + UInt64(found.read32(capability + VirtioPCI.capabilityOffset))
      if type == VirtioPCI.capabilityCommon { places.common = place }
      if type == VirtioPCI.capabilityISR { places.isr = place }
      if type == VirtioPCI.capabilityDevice { places.device = place }
      if type == VirtioPCI.capabilityNotify {
        places.notify = place
        multiplier = UInt64(found.read32(capability + VirtioPCI.capabilityMultiplier))
      }
    }
    guard places.common != 0, places.notify != 0, places.isr != 0 else { fail("a virtio structure is missing") }
    common = places.common
    isr = places.isr
    device = places.device
    notify = places.notify
    notifyMultiplier = multiplier
    if let capability = found.capability(PCICapabilityID.msiX) {
      let table = found.read32(capability + MSIXRegister.tableOffset)
      tableAddress = found.baseAddress(Int(table & 7)) + UInt64(table & ~7)
      found.write16(
        capability + MSIXRegister.messageControl,
        found.read16(capability + MSIXRegister.messageControl) | MSIXRegister.controlEnable)
      usesMSIX = true
    } else {
      tableAddress = 0
      usesMSIX = false
    }
    found.enable()
    negotiate(wanted)
  }

  private func negotiate(_ wanted: UInt64) {
    mmio_write8(common + VirtioCommon.deviceStatus, 0)
    while mmio_read8(common + VirtioCommon.deviceStatus) != 0 { cpu_pause() }
    addStatus(VirtioStatus.acknowledge | VirtioStatus.driver)
    mmio_write32(common + VirtioCommon.deviceFeatureSelect, 0)
    var offered = UInt64(mmio_read32(common + VirtioCommon.deviceFeature))
    mmio_write32(common + VirtioCommon.deviceFeatureSelect, 1)
    offered |= UInt64(mmio_read32(common + VirtioCommon.deviceFeature)) << 32
    features = offered & (wanted | VirtioFeature.version1)
    mmio_write32(common + VirtioCommon.driverFeatureSelect, 0)
    mmio_write32(common + VirtioCommon.driverFeature, UInt32(truncatingIfNeeded: features))
    mmio_write32(common + VirtioCommon.driverFeatureSelect, 1)
    mmio_write32(common + VirtioCommon.driverFeature, UInt32(truncatingIfNeeded: features >> 32))
    addStatus(VirtioStatus.featuresOK)
    guard mmio_read8(common + VirtioCommon.deviceStatus) & VirtioStatus.featuresOK != 0 else {
      fail("the device refuses the features", features)
    }
  }

  private func addStatus(_ bits: UInt8) {
    mmio_write8(common + VirtioCommon.deviceStatus, mmio_read8(common + VirtioCommon.deviceStatus) | bits)
  }

  /// Sets up queue `index`. It interrupts with `vector`; nil for a polled queue.
  func makeQueue(_ index: Int, size limit: Int = 256, interrupt vector: Vector?) -> VirtioQueue {
    mmio_write16(common + VirtioCommon.queueSelect, UInt16(index))
    let size = min(Int(mmio_read16(common + VirtioCommon.queueSize)), limit)
    guard size > 0 else { fail("no such virtqueue", UInt64(index)) }
    mmio_write16(common + VirtioCommon.queueSize, UInt16(size))
    let offset = UInt64(mmio_read16(common + VirtioCommon.queueNotifyOffset))
    if let vector, usesMSIX {
      // One table entry per queue; entry 0 is for configuration changes.
      let entry = index + 1
      let slot = tableAddress + UInt64(MSIXRegister.entrySize * entry)
      mmio_write32(slot, 0xFEE0_0000 | InterruptController.currentID << 12)
      mmio_write32(slot + 4, 0)
      mmio_write32(slot + 8, vector.rawValue)
      mmio_write32(slot + 12, 0)
      mmio_write16(common + VirtioCommon.queueVector, UInt16(entry))
      guard mmio_read16(common + VirtioCommon.queueVector) == UInt16(entry) else { fail("no MSI-X vector") }
    } else if let vector {
      InterruptController.routePin(
        function.interruptPin, to: vector.rawValue, levelTriggered: true, apicID: InterruptController.currentID)
    }
    let queue = VirtioQueue(
      index: index, size: size, doorbell: notify + notifyMultiplier * offset,
      usesEventIndex: features & VirtioFeature.eventIndex != 0, interrupt: vector.map { Interrupt(vector: $0) },
      isr: usesMSIX ? 0 : isr)
    setAddress(VirtioCommon.queueDescriptors, queue.descriptors)
    setAddress(VirtioCommon.queueDriver, queue.available)
    setAddress(VirtioCommon.queueDevice, queue.used)
    mmio_write16(common + VirtioCommon.queueEnable, 1)
    return queue
  }

  private func setAddress(_ register: UInt64, _ value: UInt64) {
    mmio_write32(common + register, UInt32(truncatingIfNeeded: value))
    mmio_write32(common + register + 4, UInt32(truncatingIfNeeded: value >> 32))
  }

  func readStatus() { _ = mmio_read8(common + VirtioCommon.deviceStatus) }

  /// Sets DRIVER_OK, so that the device starts.
  func start() { addStatus(VirtioStatus.driverOK) }
}
