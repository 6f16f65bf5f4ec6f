/// The PCI transport (VIRTIO 1.2, 4.1).
public enum VirtioPCI {
  public static var vendor: UInt16 { 0x1AF4 }
  /// Base of the PCI device IDs. A device without a legacy interface adds its device type.
  public static var deviceBase: UInt16 { 0x1040 }

  /// cfg_type of the vendor-specific capabilities (4.1.4).
  public static var capabilityCommon: UInt8 { 1 }
  public static var capabilityNotify: UInt8 { 2 }
  public static var capabilityISR: UInt8 { 3 }
  public static var capabilityDevice: UInt8 { 4 }
  public static var capabilityPCI: UInt8 { 5 }

  /// Offsets in a capability: cfg_type, bar, offset, length, and the notify capability's multiplier.
  public static var capabilityType: Int { 3 }
  public static var capabilityBAR: Int { 4 }
  public static var capabilityOffset: Int { 8 }
  public static var capabilityLength: Int { 12 }
  public static var capabilityMultiplier: Int { 16 }
  /// pci_cfg_data of the PCI configuration access capability (4.1.4.9).
  public static var capabilityData: Int { 16 }

  /// VIRTIO_MSI_NO_VECTOR, in msix_config and queue_msix_vector.
  public static var noVector: UInt16 { 0xFFFF }
}

/// The common configuration structure (VIRTIO 1.2, 4.1.4.3), as offsets.
public enum VirtioCommon {
  public static var deviceFeatureSelect: UInt64 { 0x00 }
  public static var deviceFeature: UInt64 { 0x04 }
  public static var driverFeatureSelect: UInt64 { 0x08 }
  public static var driverFeature: UInt64 { 0x0C }
  public static var msixConfig: UInt64 { 0x10 }
  public static var queueCount: UInt64 { 0x12 }
  public static var deviceStatus: UInt64 { 0x14 }
  public static var configGeneration: UInt64 { 0x15 }
  public static var queueSelect: UInt64 { 0x16 }
  public static var queueSize: UInt64 { 0x18 }
  public static var queueVector: UInt64 { 0x1A }
  public static var queueEnable: UInt64 { 0x1C }
  public static var queueNotifyOffset: UInt64 { 0x1E }
  public static var queueDescriptors: UInt64 { 0x20 }
  public static var queueDriver: UInt64 { 0x28 }
  public static var queueDevice: UInt64 { 0x30 }
  public static var size: UInt64 { 0x38 }
}

/// Bits of device_status (VIRTIO 1.2, 2.1).
public enum VirtioStatus {
  public static var acknowledge: UInt8 { 1 }
  public static var driver: UInt8 { 2 }
  public static var driverOK: UInt8 { 4 }
  public static var featuresOK: UInt8 { 8 }
  public static var needsReset: UInt8 { 64 }
  public static var failed: UInt8 { 128 }
}

/// Feature bits of the transport and rings (VIRTIO 1.2, 6).
public enum VirtioFeature {
  public static var indirectDescriptors: UInt64 { 1 << 28 }
  public static var eventIndex: UInt64 { 1 << 29 }
  public static var version1: UInt64 { 1 << 32 }
}

/// The split virtqueue (VIRTIO 1.2, 2.7).
public enum SplitRing {
  public static var descriptorSize: Int { 16 }
  public static var flagNext: UInt16 { 1 }
  public static var flagWrite: UInt16 { 2 }
  public static var flagIndirect: UInt16 { 4 }
  /// In avail.flags, the driver wants no interrupts. In used.flags, the device wants no kicks.
  public static var noInterrupt: UInt16 { 1 }
  public static var noNotify: UInt16 { 1 }
}

/// The block device (VIRTIO 1.2, 5.2).
public enum VirtioBlk {
  public static var deviceType: UInt16 { 2 }
  public static var featureSizeMax: UInt64 { 1 << 1 }
  public static var featureSegmentMax: UInt64 { 1 << 2 }
  public static var featureGeometry: UInt64 { 1 << 4 }
  public static var featureReadOnly: UInt64 { 1 << 5 }
  public static var featureBlockSize: UInt64 { 1 << 6 }
  public static var featureFlush: UInt64 { 1 << 9 }
  public static var featureTopology: UInt64 { 1 << 10 }
  public static var featureConfigWCE: UInt64 { 1 << 11 }
  public static var featureMultiqueue: UInt64 { 1 << 12 }
  public static var featureDiscard: UInt64 { 1 << 13 }
  public static var featureWriteZeroes: UInt64 { 1 << 14 }

  public static var typeIn: UInt32 { 0 }
  public static var typeOut: UInt32 { 1 }
  public static var typeFlush: UInt32 { 4 }
  public static var typeGetID: UInt32 { 8 }
  public static var typeDiscard: UInt32 { 11 }
  public static var typeWriteZeroes: UInt32 { 13 }

  public static var statusOK: UInt8 { 0 }
  public static var statusIOError: UInt8 { 1 }
  public static var statusUnsupported: UInt8 { 2 }
  /// Bytes of a request's header: type, reserved, sector.
  public static var headerSize: Int { 16 }
}

/// The network device (VIRTIO 1.2, 5.1).
public enum VirtioNetwork {
  public static var deviceType: UInt16 { 1 }
  public static var featureChecksum: UInt64 { 1 << 0 }
  public static var featureGuestChecksum: UInt64 { 1 << 1 }
  public static var featureControlGuestOffloads: UInt64 { 1 << 2 }
  public static var featureMTU: UInt64 { 1 << 3 }
  public static var featureMAC: UInt64 { 1 << 5 }
  public static var featureGuestTSO4: UInt64 { 1 << 7 }
  public static var featureGuestTSO6: UInt64 { 1 << 8 }
  public static var featureHostTSO4: UInt64 { 1 << 11 }
  public static var featureHostTSO6: UInt64 { 1 << 12 }
  public static var featureMergeableBuffers: UInt64 { 1 << 15 }
  public static var featureStatus: UInt64 { 1 << 16 }
  public static var featureControlQueue: UInt64 { 1 << 17 }
  public static var featureControlRX: UInt64 { 1 << 18 }
  public static var featureControlVLAN: UInt64 { 1 << 19 }
  public static var featureControlRXExtra: UInt64 { 1 << 20 }
  public static var featureMultiqueue: UInt64 { 1 << 22 }
  public static var featureControlMACAddress: UInt64 { 1 << 23 }

  /// virtio_net_hdr with num_buffers (5.1.6).
  public static var headerSize: Int { 12 }
  public static var headerNeedsChecksum: UInt8 { 1 }
  public static var headerDataValid: UInt8 { 2 }
  public static var gsoNone: UInt8 { 0 }
  public static var gsoTCPv4: UInt8 { 1 }
  public static var gsoTCPv6: UInt8 { 4 }
  /// Set in gso_type for segments with ECN. swiftlet ignores it.
  public static var gsoECN: UInt8 { 0x80 }

  /// Classes and commands of the control queue (5.1.6.5).
  public static var controlRX: UInt8 { 0 }
  public static var controlMAC: UInt8 { 1 }
  public static var controlVLAN: UInt8 { 2 }
  public static var controlMultiqueue: UInt8 { 4 }
  public static var controlGuestOffloads: UInt8 { 5 }
  public static var controlOK: UInt8 { 0 }
  public static var controlError: UInt8 { 1 }
}
