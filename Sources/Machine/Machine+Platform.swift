import Devices

/// The devices of a PC's board: clock, keyboard controller, power management, and the ways to reset.
extension Machine {
  func attachPlatform() {
    let reset: @Sendable () -> Void = { [weak self] in self?.finish(.reset) }
    let clock = RealTimeClock(line: gsiLines[8].makeInput(), loop: loop, memorySize: configuration.memorySize)
    clock.attach(to: bus)
    adopt(clock)
    KeyboardController(
      keyboardLine: gsiLines[1].makeInput(), auxiliaryLine: gsiLines[12].makeInput(), reset: reset
    ).attach(to: bus)
    let fixedHardware = ACPIFixedHardware(line: gsiLines[9].makeInput(), loop: loop) { [weak self] in
      self?.finish(.poweredOff)
    }
    fixedHardware.attach(to: bus)
    adopt(fixedHardware)
    self.fixedHardware = fixedHardware
    ResetControl(reset: reset).attach(to: bridge)
    FastReset(reset: reset).attach(to: bus)
    PanicDevice { [weak self] in self?.crashed("it panicked, as its driver pvpanic says") }.attach(to: bus)
    PostCode().attach(to: bus)
  }
}
