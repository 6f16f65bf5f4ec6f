import Bus
import CLinux
import Counters
import Failures
import Glibc
import KVM
import Synchronization
import Threads

/// One vCPU's thread. It runs the guest, passes accesses to the bus, and ends when the machine stops.
final class VCPURunner: Sendable {
  let vCPU: VirtualCPU
  let counters: Counters
  let log = ExitLog()
  private let bus: Bus
  private let binding: KVMBinding
  private let trace: AccessTrace?
  private let processor: Int?
  private let stopping = Atomic(false)
  /// Open when the thread may run the guest again; nil while it is not paused.
  private let gate = Guarded<(reached: Latch, leave: Latch)?>(.leaf, nil)
  /// Called once, on the vCPU's thread, with its outcome; nil if `stop` ended it.
  private let ended: @Sendable (VCPURunner, MachineOutcome?) -> Void
  private let thread = Guarded<pthread_t?>(.leaf, nil)
  /// The first work of the thread.
  private let preparing = Guarded<(@Sendable () -> Void)?>(.leaf, nil)
  let kernelStatistics: KernelStatistics?

  init(
    vCPU: VirtualCPU, bus: Bus, binding: KVMBinding, trace: AccessTrace?, processor: Int?,
    ended: @escaping @Sendable (VCPURunner, MachineOutcome?) -> Void
  ) {
    self.vCPU = vCPU
    self.bus = bus
    self.binding = binding
    self.trace = trace
    self.processor = processor
    self.ended = ended
    counters = Counters(owner: "vcpu\(vCPU.index)")
    kernelStatistics = vCPU.statistics()
  }

  /// Starts the thread. It runs `preparing` before the guest.
  func start(preparing: (@Sendable () -> Void)?) {
    self.preparing.withLock { $0 = preparing }
    var handle = pthread_t()
    let box = Unmanaged.passRetained(self)
    requireThread(
      pthread_create(
        &handle, nil,
        { argument in
          Unmanaged<VCPURunner>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().main()
          return nil
        }, box.toOpaque()))
    thread.withLock { $0 = handle }
  }

  /// Asks the thread to end. A kick makes it leave the guest.
  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    resume()
    vCPU.kick()
  }

  /// Makes the thread leave the guest and wait for `resume`.
  ///
  /// - Returns: opens when the thread waits. It never does so if it ends first.
  func pause() -> Latch {
    let gate = (reached: Latch(), leave: Latch())
    // `stop` sets its flag before it takes this lock, so the thread never waits at a gate that nobody opens.
    self.gate.withLock { if !stopping.load(ordering: .sequentiallyConsistent) { $0 = gate } }
    vCPU.kick()
    return gate.reached
  }

  func resume() {
    let gate = gate.withLock { gate in
      defer { gate = nil }
      return gate
    }
    gate?.leave.open()
  }

  /// Makes the vCPU leave the guest and enter it again.
  func kick() { vCPU.kick() }

  func join() {
    let handle = thread.withLock { handle in
      defer { handle = nil }
      return handle
    }
    if let handle { pthread_join(handle, nil) }
  }

  /// Processor time of the thread, in nanoseconds.
  var threadTime: UInt64 { vCPU.threadTime }

  private func main() {
    clinux_name_thread(counters.owner)
    if let processor { clinux_pin_current_thread(Int32(truncatingIfNeeded: processor)) }
    preparing.withLock { $0.take() }?()
    vCPU.adoptCurrentThread()
    let outcome = loop()
    vCPU.releaseThread()
    ended(self, outcome)
  }

  /// The most memory faults in a row. With more, the reason is not a page of registers.
  private static let faultLimit = 1000

  private func loop() -> MachineOutcome? {
    var faults = 0
    while true {
      // Clear the kick before testing the flag: the kick of a `stop` in between then stays pending.
      vCPU.clearKick()
      if stopping.load(ordering: .sequentiallyConsistent) { return nil }
      if let gate = gate.withLock({ $0 }) {
        gate.reached.open()
        gate.leave.wait()
        continue
      }
      do {
        let exit = try vCPU.runOnce()
        if case .memoryFault = exit {
          faults += 1
          counters.add(.exitsOther)
          guard faults < Self.faultLimit else { return crash("KVM cannot access the guest's memory") }
          // It may be open already, by another vCPU, or hidden. The guest tries again in any case.
          binding.openPages()
          continue
        }
        faults = 0
        if let outcome = handle(exit) { return outcome }
      } catch {
        return .crashed(CrashReport(vCPU: vCPU, cause: error.description, log: log))
      }
    }
  }

  /// Serves one exit. Returns an outcome if it ends the machine.
  @inline(__always)
  private func handle(_ exit: Exit) -> MachineOutcome? {
    switch exit {
    case .portIO(let port, let width, let isWrite, let data):
      counters.add(.exitsPortIO)
      serve(.port, UInt64(port), width: width, isWrite: isWrite, data)
    case .memoryIO(let address, let isWrite, let data):
      counters.add(.exitsMMIO)
      serve(.memory, address, width: data.count, isWrite: isWrite, data)
    case .memoryFault: break  // `loop` handles it.
    case .interrupted: counters.add(.exitsInterrupted)
    case .halt:
      counters.add(.exitsHalt)
      return crash("it halted, and nothing can wake it")
    case .shutdown:
      counters.add(.exitsOther)
      return crash("triple fault")
    case .systemEvent(let type):
      counters.add(.exitsOther)
      // KVM_SYSTEM_EVENT_SHUTDOWN and KVM_SYSTEM_EVENT_RESET.
      return type == 1 ? .poweredOff : type == 2 ? .reset : crash("KVM system event \(type)")
    case .internalError(let suberror, let data):
      counters.add(.exitsOther)
      let details = data.map { "0x\(hex($0))" }.joined(separator: " ")
      return crash(
        "KVM internal error \(suberror) (emulation failed if 1): \(details)", hint: System.kind.crashHint)
    case .failedEntry(let reason):
      counters.add(.exitsOther)
      return crash("KVM could not enter the guest, hardware reason 0x\(hex(reason))", hint: System.kind.crashHint)
    case .unknown(let reason):
      counters.add(.exitsOther)
      return crash("KVM exit reason \(reason), which swiftlet does not handle")
    }
    return nil
  }

  private func crash(_ cause: String, hint: String? = nil) -> MachineOutcome {
    .crashed(CrashReport(vCPU: vCPU, cause: cause, log: log, hint: hint))
  }

  @inline(__always)
  private func serve(
    _ space: AddressSpaceKind, _ address: UInt64, width: Int, isWrite: Bool, _ data: UnsafeMutableRawBufferPointer
  ) {
    binding.applyHeldWrites()
    let range: BusRange?
    if isWrite {
      range = bus.write(space, address, width: width, from: UnsafeRawBufferPointer(data))
    } else {
      range = bus.read(space, address, width: width, into: data)
    }
    if range == nil { counters.add(.unclaimedAccesses) }
    if let trace {
      trace.record(
        by: counters.owner, space, address, width: width, isWrite: isWrite, UnsafeRawBufferPointer(data), range)
    }
    log.record(
      ExitLog.Access(
        address: address, value: loadElement(width: width, from: UnsafeRawBufferPointer(data), at: 0),
        count: width > 0 ? data.count / width : 0, isPort: space == .port, isWrite: isWrite))
  }
}
