import Registers

/// Register names for a trace, from VIRTIO 1.2, 4.1.4.
enum VirtioRegisterNames {
  private static let common: [(offset: UInt64, name: String)] = [
    (VirtioCommon.deviceFeatureSelect, "device_feature_select"), (VirtioCommon.deviceFeature, "device_feature"),
    (VirtioCommon.driverFeatureSelect, "driver_feature_select"), (VirtioCommon.driverFeature, "driver_feature"),
    (VirtioCommon.msixConfig, "config_msix_vector"), (VirtioCommon.queueCount, "num_queues"),
    (VirtioCommon.deviceStatus, "device_status"), (VirtioCommon.configGeneration, "config_generation"),
    (VirtioCommon.queueSelect, "queue_select"), (VirtioCommon.queueSize, "queue_size"),
    (VirtioCommon.queueVector, "queue_msix_vector"), (VirtioCommon.queueEnable, "queue_enable"),
    (VirtioCommon.queueNotifyOffset, "queue_notify_off"), (VirtioCommon.queueDescriptors, "queue_desc"),
    (VirtioCommon.queueDriver, "queue_driver"), (VirtioCommon.queueDevice, "queue_device"),
    (VirtioCommon.size, ""),
  ]

  /// The name of the register at `offset` of BAR 0.
  static func name(_ offset: UInt64) -> String? {
    let inside = offset & 0xFFF
    switch offset & ~0xFFF {
    case VirtioFunction.Layout.common:
      guard inside < VirtioCommon.size else { return nil }
      return common.last { $0.offset <= inside }?.name
    case VirtioFunction.Layout.isr: return "ISR status"
    case VirtioFunction.Layout.device: return "device configuration +0x\(String(inside, radix: 16))"
    case VirtioFunction.Layout.notify: return "notify queue \(inside / UInt64(VirtioFunction.Layout.notifyMultiplier))"
    default: return nil
    }
  }

  /// The name of the entry at `offset` of BAR 1: the MSI-X table and its pending bits (PCI 3.0, 6.8.2).
  static func message(_ offset: UInt64) -> String {
    guard offset < 0x800 else { return "pending bits" }
    let fields = ["Message Address", "Message Upper Address", "Message Data", "Vector Control"]
    return "vector \(offset / 16) \(fields[Int(offset % 16 / 4)])"
  }
}
