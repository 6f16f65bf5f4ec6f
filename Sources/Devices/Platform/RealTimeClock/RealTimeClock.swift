import Bus
import EventLoop
import Glibc
import Registers
import Threads

/// The PC's real-time clock and CMOS memory: ports 0x70 and 0x71, IRQ 8 (Motorola MC146818A).
///
/// The clock shows the host's time in UTC. It keeps a time that the guest sets as an offset from the host's, until the
/// machine ends.
///
/// The clock computes its flags when the guest accesses them, and when an enabled interrupt is due. So a timer runs only
/// while an interrupt is enabled. After an interrupt, the clock sets its timer again only when the guest has read register
/// C or disabled the interrupt, so no rate can flood the loop.
///
/// An update takes no time. The crystal always runs at 32 768 Hz; DV can only hold the divider in reset. The day of the week counts independently of the date, as on the chip. There is no daylight saving: DSE reads 0.
///
/// One lock guards the state.
package final class RealTimeClock: ByteTarget, Device {
  /// Seconds since 1970 in UTC, and nanoseconds.
  package typealias WallClock = @Sendable () -> (seconds: Int64, nanoseconds: Int64)

  struct State {
    var index: UInt8 = 0
    /// All 128 bytes. The bytes of the time are valid only while the clock is stopped.
    var bytes: [UInt8]
    /// The guest's time minus the host's.
    var offset = GuestTime(seconds: 0, nanoseconds: 0)
    /// The guest's day of the week minus the calendar's.
    var weekdayShift = 0
    /// PF, AF and UF of register C.
    var flags: UInt8 = 0
    /// The crystal's cycle up to which `flags` is computed.
    var accounted: Int64 = 0

    var registerA: UInt8 { bytes[Int(RealTimeClockRegister.a)] }
    var registerB: UInt8 { bytes[Int(RealTimeClockRegister.b)] }
    var isDividerReset: Bool {
      registerA & RealTimeClockA.dividerReset == RealTimeClockA.dividerReset
    }
    /// The time does not advance, and the guest may write it.
    var isStopped: Bool { isDividerReset || registerB & RealTimeClockB.set != 0 }
    var isInterrupting: Bool {
      flags & registerB & (RealTimeClockC.periodic | RealTimeClockC.alarm | RealTimeClockC.updateEnded) != 0
    }
  }

  /// UIP is set from this nanosecond of each second, for the last 244 us.
  private static let updateBegins: Int64 = 1_000_000_000 - 244_000

  private let state: Guarded<State>
  private let wallClock: WallClock
  let line: any InterruptLine
  private let loop: EventLoop
  private let timer = Guarded<LoopTimer?>(.timers, nil)

  /// Creates a clock on `loop` that interrupts by `line`, IRQ 8, in a machine with `memorySize` bytes of RAM.
  package init(
    line: any InterruptLine, loop: EventLoop, memorySize: Int, wallClock: @escaping WallClock = RealTimeClock.hostTime
  ) {
    self.line = line
    self.loop = loop
    self.wallClock = wallClock
    var state = State(bytes: makeCMOSMemory(memorySize: memorySize))
    state.bytes[Int(RealTimeClockRegister.a)] = RealTimeClockA.divider32768 | RealTimeClockA.rate1024
    state.bytes[Int(RealTimeClockRegister.b)] = RealTimeClockB.hours24
    self.state = Guarded(.device, state)
    let made = loop.makeTimer { [weak self] in self?.timerElapsed() }
    timer.withLock { $0 = made }
    self.state.withLock { $0.accounted = now($0).ticks }
  }

  /// The host's CLOCK_REALTIME.
  package static let hostTime: WallClock = {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec), Int64(time.tv_nsec))
  }

  /// Maps ports 0x70 and 0x71 on `bus`. KVM may hold a write of the index until the access of the byte, so that the two
  /// cost one exit.
  package func attach(to bus: Bus) {
    bus.map(
      BusRange(
        "real-time-clock", .port, at: UInt64(RealTimeClockPort.index), size: byteCount(region: 0), target: self,
        accelerations: [.coalesced(offset: 0, size: 1)]))
  }

  /// Removes the timer from its loop; the clock does not interrupt by itself afterwards. Safe to call twice.
  package func detach() {
    let timer = timer.withLock { timer in
      defer { timer = nil }
      return timer
    }
    guard let timer else { return }
    timer.cancel()
    loop.remove(timer)
  }

  package func registerName(_ access: BusAccess, isWrite: Bool) -> String? {
    access.offset == 0 ? "index" : "data"
  }

  package func byteCount(region: Int) -> UInt64 { 2 }

  package func readByte(region: Int, offset: UInt64) -> UInt8 {
    // The index port is write-only.
    guard offset == 1 else { return 0xFF }
    return state.withLock { state in read(state.index, &state) }
  }

  package func writeByte(region: Int, offset: UInt64, _ value: UInt8) {
    state.withLock { state in
      // Bit 7 masks the NMI. This machine has none.
      if offset == 0 { state.index = value & 0x7F } else { write(state.index, value, &state) }
    }
  }

  private func read(_ register: UInt8, _ state: inout State) -> UInt8 {
    switch register {
    case RealTimeClockRegister.a:
      let updates = !state.isStopped && now(state).nanoseconds >= Self.updateBegins
      return state.registerA | (updates ? RealTimeClockA.updateInProgress : 0)
    case RealTimeClockRegister.c:
      account(&state, now(state))
      let value = state.flags | (state.isInterrupting ? RealTimeClockC.interruptRequest : 0)
      state.flags = 0
      update(&state)
      return value
    case RealTimeClockRegister.d: return RealTimeClockD.valid
    default:
      guard TimeByte.isTime(register), !state.isStopped else { return state.bytes[Int(register)] }
      return TimeByte.encode(register, at: now(state).seconds, state)
    }
  }

  private func write(_ register: UInt8, _ value: UInt8, _ state: inout State) {
    switch register {
    case RealTimeClockRegister.a, RealTimeClockRegister.b: writeControl(register, value, &state)
    case RealTimeClockRegister.c, RealTimeClockRegister.d: break
    case RealTimeClockRegister.secondsAlarm, RealTimeClockRegister.minutesAlarm, RealTimeClockRegister.hoursAlarm:
      account(&state, now(state))
      state.bytes[Int(register)] = value
      update(&state)
    default:
      guard TimeByte.isTime(register), !state.isStopped else {
        state.bytes[Int(register)] = value
        return
      }
      account(&state, now(state))
      stop(&state)
      state.bytes[Int(register)] = value
      resume(&state)
    }
  }

  private func writeControl(_ register: UInt8, _ value: UInt8, _ state: inout State) {
    account(&state, now(state))
    let (wasStopped, wasReset) = (state.isStopped, state.isDividerReset)
    if register == RealTimeClockRegister.a {
      state.bytes[Int(register)] = value & ~RealTimeClockA.updateInProgress
    } else {
      // Setting SET clears UIE.
      let cleared = value & RealTimeClockB.set != 0 ? RealTimeClockB.updateInterrupt : 0
      state.bytes[Int(register)] = value & ~RealTimeClockB.daylightSaving & ~cleared
    }
    if state.isStopped, !wasStopped { stop(&state) }
    if wasReset, !state.isDividerReset {
      // The first update comes half a second after the divider leaves reset.
      let nanoseconds = now(state).nanoseconds
      state.offset = state.offset + GuestTime(seconds: 0, nanoseconds: 500_000_000 - nanoseconds)
      state.accounted = now(state).ticks
    }
    if wasStopped, !state.isStopped { resume(&state) }
    update(&state)
  }

  // MARK: Time

  func now(_ state: State) -> GuestTime {
    let host = wallClock()
    return GuestTime(seconds: host.seconds, nanoseconds: host.nanoseconds) + state.offset
  }

  /// Stores the time in its bytes, where the guest may write it.
  private func stop(_ state: inout State) {
    let seconds = now(state).seconds
    for register in TimeByte.all { state.bytes[Int(register)] = TimeByte.encode(register, at: seconds, state) }
  }

  /// Continues from the time in the bytes. The fraction of the second does not change.
  private func resume(_ state: inout State) {
    let (seconds, weekday) = TimeByte.decode(state)
    state.offset.seconds = state.offset.seconds &+ (seconds &- now(state).seconds)
    if let weekday { state.weekdayShift = weekday - CalendarTime.weekday(seconds) }
    state.accounted = now(state).ticks
    update(&state)
  }

  // MARK: The timer

  private func timerElapsed() {
    state.withLock { state in
      account(&state, now(state))
      update(&state)
    }
  }

  /// Drives IRQ 8. Sets the timer for the next interrupt, unless one is pending.
  private func update(_ state: inout State) {
    line.set(asserted: state.isInterrupting)
    // Search from `accounted`, not from now: an interrupt may have become due between the two.
    let due = state.isInterrupting ? nil : nextInterrupt(state, after: GuestTime(ticks: state.accounted))
    timer.withLock { timer in
      guard let timer else { return }
      guard let due else { return timer.cancel() }
      timer.set(after: UInt64(max(1, now(state).distance(to: due))))
    }
  }
}
