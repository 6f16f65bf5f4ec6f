import Registers

/// The common configuration structure (VIRTIO 1.2, 4.1.4.3). `VirtioState.writeStatus` handles writes to
/// `device_status`, because they depend on the device.
extension VirtioCore {
  func readCommon(_ offset: UInt64, width: Int) -> UInt64 {
    let queue = queues.indices.contains(Int(registers.queueSelect)) ? queues[Int(registers.queueSelect)] : nil
    switch offset {
    case VirtioCommon.deviceFeatureSelect: return UInt64(registers.deviceFeatureSelect)
    case VirtioCommon.deviceFeature: return half(offeredFeatures, registers.deviceFeatureSelect)
    case VirtioCommon.driverFeatureSelect: return UInt64(registers.driverFeatureSelect)
    case VirtioCommon.driverFeature: return half(registers.driverFeatures, registers.driverFeatureSelect)
    case VirtioCommon.msixConfig: return UInt64(registers.configurationVector)
    case VirtioCommon.queueCount: return UInt64(queues.count)
    case VirtioCommon.deviceStatus: return UInt64(registers.status)
    case VirtioCommon.configGeneration: return UInt64(registers.generation)
    case VirtioCommon.queueSelect: return UInt64(registers.queueSelect)
    // The size of a queue that does not exist is 0.
    case VirtioCommon.queueSize: return UInt64(queue?.size ?? 0)
    case VirtioCommon.queueVector: return UInt64(queue?.vector ?? VirtioPCI.noVector)
    case VirtioCommon.queueEnable: return queue?.isEnabled == true ? 1 : 0
    case VirtioCommon.queueNotifyOffset: return UInt64(registers.queueSelect)
    case VirtioCommon.queueDescriptors..<VirtioCommon.size:
      guard let queue else { return 0 }
      let address = [queue.descriptorAddress, queue.driverAddress, queue.deviceAddress][Int(offset - 0x20) / 8]
      let value = address >> (8 * (offset & 7))
      return width == 8 ? value : value & 0xFFFF_FFFF
    default: return 0
    }
  }

  private func half(_ features: UInt64, _ select: UInt32) -> UInt64 {
    switch select {
    case 0: features & 0xFFFF_FFFF
    case 1: features >> 32
    default: 0
    }
  }

  mutating func writeCommon(_ offset: UInt64, width: Int, _ value: UInt64) {
    let word = UInt16(truncatingIfNeeded: value)
    switch offset {
    case VirtioCommon.deviceFeatureSelect: registers.deviceFeatureSelect = UInt32(truncatingIfNeeded: value)
    case VirtioCommon.driverFeatureSelect: registers.driverFeatureSelect = UInt32(truncatingIfNeeded: value)
    case VirtioCommon.driverFeature: writeDriverFeatures(UInt32(truncatingIfNeeded: value))
    case VirtioCommon.msixConfig: registers.configurationVector = checkedVector(word)
    case VirtioCommon.queueSelect: registers.queueSelect = word
    default: writeQueue(offset, width: width, value)
    }
  }

  private mutating func writeDriverFeatures(_ value: UInt32) {
    // 3.1.1: the driver must not change features after it sets FEATURES_OK.
    guard registers.status & VirtioStatus.featuresOK == 0, registers.driverFeatureSelect < 2 else { return }
    let shift = UInt64(32 * registers.driverFeatureSelect)
    registers.driverFeatures = registers.driverFeatures & ~(0xFFFF_FFFF << shift) | UInt64(value) << shift
  }

  /// `vector`, or NO_VECTOR for a vector that the device does not have (4.1.5.1.2).
  private func checkedVector(_ vector: UInt16) -> UInt16 {
    Int(vector) < vectorCount ? vector : VirtioPCI.noVector
  }

  private mutating func writeQueue(_ offset: UInt64, width: Int, _ value: UInt64) {
    let index = Int(registers.queueSelect)
    guard queues.indices.contains(index), offset < VirtioCommon.size else { return }
    if offset == VirtioCommon.queueVector {
      queues[index].vector = checkedVector(UInt16(truncatingIfNeeded: value))
      return
    }
    // 4.1.5.1.3: the other fields may change only while the queue is disabled.
    guard !queues[index].isEnabled else { return }
    switch offset {
    case VirtioCommon.queueSize:
      let size = UInt16(truncatingIfNeeded: value)
      // Ignore a size that is not a power of two, or too large (4.1.5.1.3.2).
      guard size > 0, size & (size - 1) == 0, size <= queues[index].maximumSize else {
        counters.add(.badRequest)
        return
      }
      queues[index].size = size
    case VirtioCommon.queueEnable:
      guard value & 0xFFFF == 1, registers.status & VirtioStatus.featuresOK != 0 else { return }
      if !queues[index].enable(in: memory, features: registers.driverFeatures) { fail(.address) }
      // Replaces the word of an earlier ring in `polledQueues`.
      wake(queue: index)
    case VirtioCommon.queueDescriptors..<VirtioCommon.queueDriver:
      Self.set(&queues[index].descriptorAddress, offset, width, value)
    case VirtioCommon.queueDriver..<VirtioCommon.queueDevice:
      Self.set(&queues[index].driverAddress, offset, width, value)
    case VirtioCommon.queueDevice..<VirtioCommon.size:
      Self.set(&queues[index].deviceAddress, offset, width, value)
    default: break
    }
  }

  /// Writes all of a 64-bit address, or the half at `offset`.
  private static func set(_ address: inout UInt64, _ offset: UInt64, _ width: Int, _ value: UInt64) {
    if width == 8 {
      address = value
    } else if offset & 4 == 0 {
      address = address & 0xFFFF_FFFF_0000_0000 | value & 0xFFFF_FFFF
    } else {
      address = address & 0xFFFF_FFFF | value << 32
    }
  }
}
