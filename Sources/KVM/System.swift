import CLinux
import Failures
import Glibc

/// The kind of virtualization that KVM uses on this host. It determines the cost of an exit.
public enum KVMKind: String, Sendable {
  case vmx, svm
  /// A software KVM without VT-x or SVM: an exit costs about 45 µs instead of 1.
  case pvm
  case unknown

  /// A hint for a user whose guest KVM could not run any further; nil if this kind of KVM runs any kernel.
  public var crashHint: String? {
    guard self == .pvm else { return nil }
    return "this host's KVM is pvm, which interprets a kernel's code and lacks many instructions. "
      + "Run Linux on a host with VT-x or SVM, or in the lab (Docs/LinuxLab.md)."
  }
}

/// `/dev/kvm`: the capabilities of the host's KVM, and the descriptor that creates virtual machines.
public final class System: Sendable {
  /// The capabilities that this project uses, with KVM's numbers.
  public enum Capability: UInt, CaseIterable, Sendable {
    case interruptController = 0  // KVM_CAP_IRQCHIP
    case userMemory = 3
    case extendedCPUID = 7
    case coalescedMMIO = 15
    case interruptRouting = 25
    case irqfd = 32
    case deadlineTimer = 72
    case pit2 = 33
    case ioeventfd = 36
    case irqfdResample = 82
    case signalMSI = 77
    case readOnlyMemory = 81
    case immediateExit = 136
    case coalescedPIO = 162
    case statisticsDescriptor = 203

    /// Whether every machine needs it. Without one of the others, a machine lacks speed, a statistic, or the reset by
    /// INIT.
    public var isRequired: Bool {
      switch self {
      case .interruptController, .userMemory, .extendedCPUID, .interruptRouting, .irqfd, .pit2, .immediateExit: true
      case .coalescedMMIO, .ioeventfd, .irqfdResample, .signalMSI, .deadlineTimer, .coalescedPIO, .readOnlyMemory,
        .statisticsDescriptor:
        false
      }
    }
  }

  public let descriptor: Int32

  /// Opens `/dev/kvm`.
  ///
  /// - Throws: `Failure` with the cause and the command that fixes it.
  public init(path: String = "/dev/kvm") throws(Failure) {
    let opened = clinux_open(path, O_RDWR)
    guard opened >= 0 else {
      let code = errno
      let fix: String?
      switch code {
      case ENOENT:
        fix = "Load the module: sudo modprobe kvm_intel (or kvm_amd), with virtualization enabled in the firmware."
      case EACCES, EPERM: fix = "Add yourself to the group kvm and log in again: sudo usermod -aG kvm $USER"
      case ENODEV, ENXIO: fix = "The module kvm is not loaded: sudo modprobe kvm_intel (or kvm_amd)."
      default: fix = "Find the reason with: ls -l \(path); sudo dmesg | tail"
      }
      throw Failure("open \(path)", errno: code, fix: fix)
    }
    let version = clinux_ioctl(opened, clinux_KVM_GET_API_VERSION(), 0)
    guard version == 12 else {
      close(opened)
      throw Failure(
        "use \(path)", cause: version < 0 ? "it is not KVM" : "its API version is \(version), not 12",
        fix: version < 0 ? "Create it again: sudo modprobe kvm" : "Use Linux 2.6.22 or later.")
    }
    descriptor = opened
    // A kick sends a signal. Its empty handler makes KVM_RUN return.
    clinux_install_kick_handler()
  }

  deinit { close(descriptor) }

  /// The value of a capability; 0 if it is missing.
  public func check(_ capability: Capability) -> Int32 {
    max(0, clinux_ioctl(descriptor, clinux_KVM_CHECK_EXTENSION(), capability.rawValue))
  }

  /// Maximum number of vCPUs in a machine (KVM_CAP_MAX_VCPUS).
  public var maximumVCPUs: Int { Int(max(1, clinux_ioctl(descriptor, clinux_KVM_CHECK_EXTENSION(), 66))) }

  /// Size of a vCPU's shared mapping, in bytes.
  public func vCPUMappingSize() throws(Failure) -> Int {
    Int(
      try systemCall("query the size of a vCPU's mapping") {
        clinux_ioctl(descriptor, clinux_KVM_GET_VCPU_MMAP_SIZE(), 0)
      })
  }

  /// Lets KVM keep the shadow pages of all other memory when a memory slot of `machine` is removed. Without this, or on
  /// older kernels, the guest has to touch all of its memory anew.
  func keepShadowPages(of machine: Int32) {
    let disableQuirks: UInt = 213  // KVM_CAP_DISABLE_QUIRKS2
    let zapAll: UInt64 = 1 << 7  // KVM_X86_QUIRK_SLOT_ZAP_ALL
    let known = clinux_ioctl(descriptor, clinux_KVM_CHECK_EXTENSION(), disableQuirks)
    guard known > 0, UInt64(UInt32(known)) & zapAll != 0 else { return }
    var capability = kvm_enable_cap()
    capability.cap = UInt32(disableQuirks)
    capability.args.0 = zapAll
    _ = clinux_ioctl_pointer(machine, clinux_KVM_ENABLE_CAP(), &capability)
  }

  /// The CPUID leaves that KVM supports for a guest.
  public func supportedCPUID() throws(Failure) -> CPUIDTable {
    var table = clinux_cpuid()
    table.count = 256
    try systemCall("query the CPUID leaves that KVM supports") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_GET_SUPPORTED_CPUID(), &table)
    }
    return CPUIDTable(table, hasDeadlineTimer: check(.deadlineTimer) != 0)
  }

  /// The kind of KVM, from the loaded modules.
  public static var kind: KVMKind {
    for (module, kind) in [("kvm_pvm", KVMKind.pvm), ("kvm_intel", .vmx), ("kvm_amd", .svm)]
    where access("/sys/module/\(module)", F_OK) == 0 {
      return kind
    }
    return .unknown
  }
}
