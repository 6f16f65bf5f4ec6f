import Registers

/// The flags PF, AF and UF, and the time of the next interrupt.
extension RealTimeClock {
  /// Sets the flags of all events from the last call up to `now`.
  func account(_ state: inout State, _ now: GuestTime) {
    let ticks = now.ticks
    let before = state.accounted
    state.accounted = ticks
    // The host's clock may step backwards.
    guard ticks > before else { return }
    if let shift = state.periodShift, ticks >> shift != before >> shift { state.flags |= RealTimeClockC.periodic }
    let last = GuestTime(ticks: before).seconds
    guard !state.isStopped, last != now.seconds else { return }
    state.flags |= RealTimeClockC.updateEnded
    if let alarm = state.alarm, alarm.next(after: last) <= now.seconds { state.flags |= RealTimeClockC.alarm }
  }

  /// The time of the first enabled interrupt after `now`; nil if there is none.
  func nextInterrupt(_ state: State, after now: GuestTime) -> GuestTime? {
    var due: GuestTime?
    func consider(_ time: GuestTime) {
      if let present = due, present.distance(to: time) >= 0 { return }
      due = time
    }
    if state.registerB & RealTimeClockB.periodicInterrupt != 0, let shift = state.periodShift {
      consider(GuestTime(ticks: (now.ticks >> shift &+ 1) << shift))
    }
    guard !state.isStopped else { return due }
    if state.registerB & RealTimeClockB.updateInterrupt != 0 {
      consider(GuestTime(seconds: now.seconds &+ 1, nanoseconds: 0))
    }
    if state.registerB & RealTimeClockB.alarmInterrupt != 0, let alarm = state.alarm {
      consider(GuestTime(seconds: alarm.next(after: now.seconds), nanoseconds: 0))
    }
    return due
  }
}

extension RealTimeClock.State {
  /// Binary logarithm of the periodic interrupt's period in cycles of the crystal; nil if it is off (datasheet, table
  /// 5).
  fileprivate var periodShift: Int64? {
    guard !isDividerReset else { return nil }
    switch registerA & RealTimeClockA.rateMask {
    case 0: return nil
    // 256 and 128 Hz, with a crystal of 32 768 Hz.
    case 1: return 7
    case 2: return 8
    case let rate: return Int64(rate) - 1
    }
  }

  fileprivate var alarm: AlarmPattern? {
    AlarmPattern(
      hours: bytes[Int(RealTimeClockRegister.hoursAlarm)], minutes: bytes[Int(RealTimeClockRegister.minutesAlarm)],
      seconds: bytes[Int(RealTimeClockRegister.secondsAlarm)], format: ClockFormat(registerB: registerB))
  }
}
