import Devices

/// The devices of a PC's board: clock, keyboard controller, power management and reset registers.
extension Machine {
  func attachPlatform() {
    let reset: @Sendable () -> Void = { [weak self] in self?.finish(.reset) }
    let clock = RealTimeClock(line: wiring.makeLine(8), loop: loop, memorySize: configuration.memorySize)
    clock.attach(to: bus)
    adopt(clock)
    KeyboardController(
      keyboardLine: wiring.makeLine(1), auxiliaryLine: wiring.makeLine(12), reset: reset
    ).attach(to: bus)
    let fixedHardware = ACPIFixedHardware(line: wiring.makeLine(9), loop: loop) { [weak self] in
      self?.finish(.poweredOff)
    }
    fixedHardware.attach(to: bus)
    adopt(fixedHardware)
    self.fixedHardware = fixedHardware
    ResetControl(reset: reset).attach(to: bridge)
    FastReset(reset: reset).attach(to: bus)
    PanicDevice { [weak self] in self?.crashed("it panicked, as its pvpanic driver reported") }.attach(to: bus)
    PostCode().attach(to: bus)
  }
}
