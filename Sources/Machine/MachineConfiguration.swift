import Backends
import Boot
import Devices

/// An acceleration that can be turned off by name, to measure its effect.
package enum AccelerationSwitch: String, CaseIterable, Sendable {
  /// Doorbells signal the event loop from the kernel, without an exit to user space.
  case ioeventfd
  /// Interrupts go to the guest through an eventfd instead of an ioctl.
  case irqfd
  /// KVM holds register writes without an immediate effect in a ring.
  case coalescing
  /// virtio devices offer MSI-X. Without it they use INTx.
  case msix = "msi-x"
  /// virtio devices offer EVENT_IDX.
  case eventIndex = "event-idx"
  /// The e1000's guest stores its tails in RAM, without an exit.
  case tailPages = "tail-pages"
  /// The e1000 delays interrupts according to its ITR and delay registers.
  case moderation
  /// NICs offer checksum and segmentation offloads.
  case offloads
}

/// The parts and parameters of a machine.
package struct MachineConfiguration: Sendable {
  /// Bytes of RAM, a multiple of 4096.
  package var memorySize = 128 << 20
  package var vCPUs = 1
  /// A PVH ELF or a bzImage.
  package var kernel: BootFile
  package var commandLine = ""
  /// The archive that the kernel unpacks as its first file system.
  package var initialRAMDisk: BootFile?
  /// The destination of COM1's output.
  package var serial: any SerialBackend = NullSerial()
  package var disks: [Disk] = []
  package var nics: [NIC] = []
  package var disabled: Set<AccelerationSwitch> = []
  /// Host processors for vCPU 0, 1, …; vCPUs beyond the list are not pinned.
  package var pinning: [Int] = []
  /// If the guest prints nothing for this long, in nanoseconds, the machine ends as crashed; nil for never.
  package var watchdog: UInt64?
  /// The machine ends after this long, in nanoseconds; nil for never.
  package var timeout: UInt64?
  /// Prints accesses that exit; nil for none.
  package var trace: Trace?
  /// Whether to touch all of RAM before the guest starts, so that page faults do not distort a measurement.
  package var populatesMemory = false

  package init(kernel: BootFile) { self.kernel = kernel }

  /// The accesses to print, and their output.
  package struct Trace: Sendable {
    /// Devices by name, such as `e1000-0`, `ide` or `serial`; empty for all.
    package var devices: Set<String>
    /// Takes one line. Called on vCPU threads and on the loop's.
    package var output: @Sendable (String) -> Void
    package init(devices: Set<String>, output: @escaping @Sendable (String) -> Void) {
      self.devices = devices
      self.output = output
    }
  }

  /// A disk: its contents, and the device model for the guest.
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

  /// A NIC: its backend, and the device model for the guest.
  package struct NIC: Sendable {
    package enum Model: String, Sendable, CaseIterable { case e1000, virtio }
    package var backend: any NetworkBackend
    package var model: Model
    /// Six bytes.
    package var macAddress: [UInt8]
    /// The MTU in bytes that virtio-net reports; its driver uses no larger one. The e1000's driver chooses its own.
    package var mtu: UInt16
    /// Queue pairs of virtio-net; nil for one per vCPU, at most 4.
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
