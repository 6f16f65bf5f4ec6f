import CLinux
import Failures
import Glibc
import Threads

/// The reason why KVM_RUN returned. Buffers point into the vCPU's mapping and are valid until it runs again.
public enum Exit {
  /// `count` elements of `width` bytes at one port.
  case portIO(port: UInt16, width: Int, isWrite: Bool, data: UnsafeMutableRawBufferPointer)
  case memoryIO(address: UInt64, isWrite: Bool, data: UnsafeMutableRawBufferPointer)
  /// KVM may not access the memory behind an address, such as a page of registers that is closed.
  case memoryFault
  case halt
  /// A signal, or `kick`.
  case interrupted
  /// A triple fault.
  case shutdown
  case internalError(suberror: UInt32, data: [UInt64])
  case failedEntry(reason: UInt64)
  /// KVM_SYSTEM_EVENT_SHUTDOWN (1), RESET (2), CRASH (3).
  case systemEvent(UInt32)
  case unknown(reason: UInt32)
}

/// One virtual CPU. A single thread runs it and accesses its state; any thread may kick it.
// Unchecked: only the vCPU's thread uses the shared page `run`.
public final class VirtualCPU: @unchecked Sendable {
  public let index: Int
  private let descriptor: Int32
  private let mapping: UnsafeMutableRawPointer
  private let mappingSize: Int
  private let run: UnsafeMutablePointer<kvm_run>
  private struct Thread {
    var handle: pthread_t?
    /// Processor time of earlier threads, in nanoseconds.
    var endedTime: UInt64 = 0
  }
  private let thread = Guarded(.leaf, Thread())

  /// Creates vCPU `index` of `count` in `machine`.
  public init(machine: VirtualMachine, index: Int, of count: Int) throws(Failure) {
    self.index = index
    mappingSize = try machine.system.vCPUMappingSize()
    let created = try systemCall("create vCPU \(index)") {
      clinux_ioctl(machine.descriptor, clinux_KVM_CREATE_VCPU(), UInt(index))
    }
    descriptor = created
    let mapped = mmap(nil, mappingSize, PROT_READ | PROT_WRITE, MAP_SHARED, created, 0)
    guard let mapped, mapped != clinux_map_failed() else {
      let code = errno
      close(created)
      throw Failure("map vCPU \(index)", errno: code)
    }
    mapping = mapped
    run = mapped.assumingMemoryBound(to: kvm_run.self)
    var table = try machine.system.supportedCPUID().forVCPU(index, of: count)
    try systemCall("set the CPUID of vCPU \(index)") {
      clinux_ioctl_pointer(created, clinux_KVM_SET_CPUID2(), &table.raw)
    }
    // PVM adds a LAPIC to its map only when user space sets it. Setting the present state changes nothing elsewhere.
    var apic = kvm_lapic_state()
    try systemCall("read the LAPIC of vCPU \(index)") {
      clinux_ioctl_pointer(created, clinux_KVM_GET_LAPIC(), &apic)
    }
    try systemCall("set the LAPIC of vCPU \(index)") {
      clinux_ioctl_pointer(created, clinux_KVM_SET_LAPIC(), &apic)
    }
    setMemoryTypes()
  }

  /// Sets the MTRRs as firmware does (SDM 3, 12.11): write-back by default and below 1 MiB, except VGA's window.
  ///
  /// Ignores a refusal by KVM. The MTRRs then stay off. Linux reports this, and nothing else depends on them.
  private func setMemoryTypes() {
    let writeBack: UInt64 = 0x0606_0606_0606_0606
    var types: [(register: UInt32, value: UInt64)] = [(0x250, writeBack), (0x258, writeBack), (0x259, 0)]
    types += (0x268...0x26F).map { ($0, writeBack) }
    // MTRRdefType last: both enable bits, and write-back.
    types.append((0x2FF, 0xC06))
    _ = clinux_set_msrs(descriptor, types.map(\.register), types.map(\.value), UInt32(types.count))
  }

  deinit {
    munmap(mapping, mappingSize)
    close(descriptor)
  }

  // MARK: Running

  /// Makes the calling thread the one that runs this vCPU, so that `kick` reaches it.
  public func adoptCurrentThread() {
    clinux_unblock_kick()
    thread.withLock { $0.handle = pthread_self() }
  }

  /// Records that no thread runs the vCPU any more; `kick` then does nothing.
  /// Called by that thread at its end.
  public func releaseThread() {
    thread.withLock { thread in
      thread.handle = nil
      thread.endedTime += clinux_thread_cpu_ns()
    }
  }

  /// Whether the calling thread runs this vCPU.
  public var isCurrentThread: Bool {
    thread.withLock { $0.handle.map { pthread_equal($0, pthread_self()) != 0 } ?? false }
  }

  /// Makes the current or next `runOnce` return `.interrupted`. Callable on any thread.
  public func kick() {
    thread.withLock { thread in
      guard let thread = thread.handle else { return }
      clinux_run_set_immediate_exit(run, 1)
      clinux_kick_thread(thread)
    }
  }

  /// Clears earlier kicks. The caller must check the reasons for a kick after this call, so that it misses none.
  public func clearKick() { clinux_run_set_immediate_exit(run, 0) }

  /// Processor time of the threads that ran this vCPU, in nanoseconds. It never falls.
  public var threadTime: UInt64 {
    thread.withLock { thread in thread.endedTime + (thread.handle.map { clinux_cpu_ns_of($0) } ?? 0) }
  }

  /// The most times in a row that KVM may ask to be called again. It does so once for a vCPU that was started.
  private static let mostAttempts = 1000

  /// Runs the guest until it needs user space or is interrupted.
  public func runOnce() throws(Failure) -> Exit {
    var attempts = 0
    while clinux_ioctl(descriptor, clinux_KVM_RUN(), 0) < 0 {
      switch errno {
      case EINTR: return .interrupted
      case EAGAIN where attempts < Self.mostAttempts: attempts += 1
      case EAGAIN:
        throw Failure(
          "run vCPU \(index)", cause: "KVM cannot start a thread of its own, perhaps by a limit of processes",
          fix: "Raise the limit: ulimit -u, or pids.max of the control group")
      case EFAULT: return .memoryFault
      case let code: throw Failure("run vCPU \(index)", errno: code)
      }
    }
    switch Int32(bitPattern: run.pointee.exit_reason) {
    case KVM_EXIT_IO:
      let io = clinux_run_io(run)
      let size = Int(io.width) * Int(io.count)
      return .portIO(
        port: io.port, width: Int(io.width), isWrite: io.is_write != 0,
        data: UnsafeMutableRawBufferPointer(start: io.data, count: size))
    case KVM_EXIT_MMIO:
      let mmio = clinux_run_mmio(run)
      return .memoryIO(
        address: mmio.address, isWrite: mmio.is_write != 0,
        data: UnsafeMutableRawBufferPointer(start: mmio.data, count: Int(min(mmio.length, 8))))
    case KVM_EXIT_HLT: return .halt
    case KVM_EXIT_INTR, KVM_EXIT_IRQ_WINDOW_OPEN: return .interrupted
    case KVM_EXIT_SHUTDOWN: return .shutdown
    case KVM_EXIT_INTERNAL_ERROR:
      let count = min(clinux_run_internal_count(run), 16)
      return .internalError(
        suberror: clinux_run_suberror(run), data: (0..<count).map { clinux_run_internal_data(run, $0) })
    case KVM_EXIT_FAIL_ENTRY: return .failedEntry(reason: clinux_run_fail_reason(run))
    case KVM_EXIT_SYSTEM_EVENT: return .systemEvent(clinux_run_system_event(run))
    default: return .unknown(reason: run.pointee.exit_reason)
    }
  }

  // MARK: State

  public func registers() throws(Failure) -> kvm_regs {
    var registers = kvm_regs()
    try systemCall("read the registers of vCPU \(index)") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_GET_REGS(), &registers)
    }
    return registers
  }

  public func setRegisters(_ registers: kvm_regs) throws(Failure) {
    var registers = registers
    try systemCall("set the registers of vCPU \(index)") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_SET_REGS(), &registers)
    }
  }

  public func systemRegisters() throws(Failure) -> kvm_sregs {
    var registers = kvm_sregs()
    try systemCall("read the system registers of vCPU \(index)") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_GET_SREGS(), &registers)
    }
    return registers
  }

  public func setSystemRegisters(_ registers: kvm_sregs) throws(Failure) {
    var registers = registers
    try systemCall("set the system registers of vCPU \(index)") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_SET_SREGS(), &registers)
    }
  }

  /// The ring of coalesced writes; nil without the capability. There is one for the machine, in the mapping of each
  /// vCPU.
  public func coalescedRing(system: System) -> CoalescedRing? {
    let page = Int(system.check(.coalescedMMIO))
    guard page > 0, (page + 1) * 4096 <= mappingSize else { return nil }
    return CoalescedRing(mapping + page * 4096, owner: self)
  }

  /// KVM's statistics of this vCPU; nil if the kernel has none.
  public func statistics() -> KernelStatistics? {
    let opened = clinux_ioctl(descriptor, clinux_KVM_GET_STATS_FD(), 0)
    return opened >= 0 ? KernelStatistics(descriptor: opened) : nil
  }
}
