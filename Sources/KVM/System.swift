import CLinux
import Failures
import Glibc

/// Which kind of virtualization KVM uses on this host; it decides what an exit costs.
public enum KVMKind: String, Sendable {
  case vmx, svm
  /// A software KVM without VT-x or SVM: an exit costs about 45 µs instead of 1.
  case pvm
  case unknown

  /// What somebody should know whose guest KVM could not run on; nil where any kernel runs.
  public var crashHint: String? {
    guard self == .pvm else { return nil }
    return "this host's KVM is pvm, which interprets a kernel's code and lacks many instructions. "
      + "Run Linux on a host with VT-x or SVM, or in the lab (Docs/LinuxLab.md)."
  }
}

/// `/dev/kvm`: what the host's KVM can do, and where virtual machines come from.
public final class System: Sendable {
  /// Capabilities this project uses, by KVM's numbers.
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

    /// Whether no machine can be made without it; the others cost speed, a figure, or a reset by INIT.
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
  /// - Throws: `Failure` that names the cause and the command that fixes it.
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
      default: fix = "See what holds it up: ls -l \(path); sudo dmesg | tail"
      }
      throw Failure("open \(path)", errno: code, fix: fix)
    }
    let version = clinux_ioctl(opened, clinux_KVM_GET_API_VERSION(), 0)
    guard version == 12 else {
      close(opened)
      throw Failure(
        "use \(path)", cause: version < 0 ? "it is not KVM" : "its API version is \(version), not 12",
        fix: version < 0 ? "Make it again: sudo modprobe kvm" : "Use a kernel of 2.6.22 or later.")
    }
    descriptor = opened
    // A kick is this signal; its empty handler makes KVM_RUN return.
    clinux_install_kick_handler()
  }

  deinit { close(descriptor) }

  /// KVM's answer for a capability: 0 for missing, else its value.
  public func check(_ capability: Capability) -> Int32 {
    max(0, clinux_ioctl(descriptor, clinux_KVM_CHECK_EXTENSION(), capability.rawValue))
  }

  /// Most vCPUs of one machine (KVM_CAP_MAX_VCPUS).
  public var maximumVCPUs: Int { Int(max(1, clinux_ioctl(descriptor, clinux_KVM_CHECK_EXTENSION(), 66))) }

  /// Bytes of one vCPU's shared mapping.
  public func vCPUMappingSize() throws(Failure) -> Int {
    Int(
      try systemCall("ask KVM for the size of a vCPU's mapping") {
        clinux_ioctl(descriptor, clinux_KVM_GET_VCPU_MMAP_SIZE(), 0)
      })
  }

  /// The CPUID leaves KVM can give a guest.
  public func supportedCPUID() throws(Failure) -> CPUIDTable {
    var table = clinux_cpuid()
    table.count = 256
    try systemCall("ask KVM for its CPUID") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_GET_SUPPORTED_CPUID(), &table)
    }
    return CPUIDTable(table, hasDeadlineTimer: check(.deadlineTimer) != 0)
  }

  /// Looks at the loaded modules; `nil` paths are for tests.
  public static var kind: KVMKind {
    for (module, kind) in [("kvm_pvm", KVMKind.pvm), ("kvm_intel", .vmx), ("kvm_amd", .svm)]
    where access("/sys/module/\(module)", F_OK) == 0 {
      return kind
    }
    return .unknown
  }
}
