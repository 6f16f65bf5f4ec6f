import Backends
import Boot
import Devices

/// An acceleration that can be turned off by name, to measure what it is worth.
package enum AccelerationSwitch: String, CaseIterable, Sendable {
  /// Doorbells signal an I/O thread in the kernel, without an exit.
  case ioeventfd
  /// Interrupts go to the guest by an eventfd instead of an ioctl.
  case irqfd
  /// Register writes without an immediate effect wait in KVM's ring.
  case coalescing
  /// virtio devices offer MSI-X; without it they interrupt by INTx.
  case msix = "msi-x"
  /// virtio devices offer EVENT_IDX.
  case eventIndex = "event-idx"
  /// The e1000 delays interrupts as its ITR and delay registers say.
  case moderation
  /// NICs offer checksum and segmentation offloads.
  case offloads
}

/// Everything a machine is put together from.
package struct MachineConfiguration: Sendable {
  /// Bytes of RAM, a multiple of 4096.
  package var memorySize = 128 << 20
  package var vCPUs = 1
  /// A PVH ELF or a bzImage.
  package var kernel: BootFile
  package var commandLine = ""
  /// What the kernel unpacks to get its first file system.
  package var initialRAMDisk: BootFile?
  /// Where COM1's output goes.
  package var serial: any SerialBackend = NullSerial()
  package var disks: [Disk] = []
  package var nics: [NIC] = []
  package var disabled: Set<AccelerationSwitch> = []
  /// Host processors for vCPU 0, 1, …; those beyond the list run anywhere.
  package var pinning: [Int] = []
  /// Ends a machine that prints nothing for this long, in nanoseconds, as a crash; nil for never.
  package var watchdog: UInt64?
  /// Ends a machine after this long, in nanoseconds; nil for never.
  package var timeout: UInt64?
  /// Prints each access that exits; nil for none.
  package var trace: Trace?
  /// Touches all of RAM before the guest starts, so that no measurement pays for it.
  package var populatesMemory = false

  package init(kernel: BootFile) { self.kernel = kernel }

  /// Which accesses to print, and where.
  package struct Trace: Sendable {
    /// Devices by name, as `e1000-0`, `ide` or `serial`; empty for all.
    package var devices: Set<String>
    /// Takes one line. Called on vCPU threads and on the loop's.
    package var output: @Sendable (String) -> Void
    package init(devices: Set<String>, output: @escaping @Sendable (String) -> Void) {
      self.devices = devices
      self.output = output
    }
  }

  /// A disk: contents, and the device model in front of them.
  package struct Disk: Sendable {
    package enum Model: String, Sendable, CaseIterable { case ide, virtio }
    package var storage: any Storage
    package var model: Model
    package var serial: String
    package init(storage: any Storage, model: Model, serial: String) {
      self.storage = storage
      self.model = model
      self.serial = serial
    }
  }

  /// A NIC: where its frames go, and the device model in front of that.
  package struct NIC: Sendable {
    package enum Model: String, Sendable, CaseIterable { case e1000, virtio }
    package var backend: any NetworkBackend
    package var model: Model
    /// Six bytes.
    package var macAddress: [UInt8]
    /// What virtio-net tells the driver, in bytes; the driver takes no larger one. An e1000's driver chooses its own.
    package var mtu: UInt16
    /// Pairs of virtio-net's queues; nil for one a vCPU, at most 4.
    package var queuePairs: Int?
    package static var queuePairLimit: Int { VirtioNet.pairLimit }
    package init(
      backend: any NetworkBackend, model: Model, macAddress: [UInt8], mtu: UInt16 = 1500, queuePairs: Int? = nil
    ) {
      self.backend = backend
      self.model = model
      self.macAddress = macAddress
      self.mtu = mtu
      self.queuePairs = queuePairs
    }
  }
}
