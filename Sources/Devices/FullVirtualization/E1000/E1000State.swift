import Bus
import Counters
import GuestMemory
import Registers

/// The timers of the device: ITR, RDTR, RADV, TIDV, TADV, the search for held writes of RDT, and the look at TDT.
enum E1000Timer: Int, CaseIterable {
  case throttle, receiveDelay, receiveLimit, transmitDelay, transmitLimit, starvation
  /// The next look at the tails that the guest stores without an exit.
  case tailLook
}

/// Effects of an access that `E1000.access` applies. The pin's level comes from `E1000State.settlePin`.
struct E1000Effects {
  /// Wakes the loop: a tail moved, or a ring that was blocked may proceed.
  var ringsDoorbell = false
  /// The timers to set or cancel; bit number is `E1000Timer.rawValue`.
  private(set) var changedTimers: UInt8 = 0
  /// The new delay of each timer, in nanoseconds from now; nil cancels it.
  private(set) var delays: InlineArray<7, UInt64?> = .init(repeating: nil)

  mutating func set(_ timer: E1000Timer, after delay: UInt64) { change(timer, delay) }
  mutating func cancel(_ timer: E1000Timer) { change(timer, nil) }

  private mutating func change(_ timer: E1000Timer, _ delay: UInt64?) {
    changedTimers |= 1 << UInt8(timer.rawValue)
    delays[timer.rawValue] = delay
  }

  /// The pages to show or to hide.
  var pages: E1000PageRequests = []

  mutating func takePages() -> E1000PageRequests {
    defer { pages = [] }
    return pages
  }

  mutating func takeTimers() -> UInt8 {
    defer { changedTimers = 0 }
    return changedTimers
  }

  @inline(__always)
  mutating func takeDoorbell() -> Bool {
    defer { ringsDoorbell = false }
    return ringsDoorbell
  }
}

/// The state of the device that vCPU threads and the loop's thread share.
///
/// A value that the device's lock owns: each access changes it in place and records `effects`. It calls neither the
/// backend nor the loop.
struct E1000State: ~Copyable, Sendable {
  let memory: GuestMemory
  let counters: Counters
  let options: E1000.Options
  let transmitEpoch: E1000TransmitEpoch

  var registers: E1000RegisterFile
  var interrupts = E1000Interrupts()
  var eeprom: E1000EEPROM
  var phy = E1000PHY()
  var receiver = E1000ReceiveState()
  var receiveTail: E1000TailPage
  var transmitTail: E1000TailPage
  var tailLooks = E1000TailLooks()
  /// IOADDR: the register that IODATA accesses.
  var portAddress: UInt32 = 0
  /// PCI command bit 2 when the access began: the device may do DMA.
  var isBusMaster = false
  /// The loop's thread is draining the ring and will read the tail again.
  var isTransmitting = false
  /// The machine is paused.
  var isPaused = false
  var effects = E1000Effects()

  /// The state after power-on.
  init(
    registers: consuming E1000RegisterFile, eeprom: E1000EEPROM, memory: GuestMemory, counters: Counters,
    options: E1000.Options, transmitEpoch: E1000TransmitEpoch, receivePage: RegisterPage, transmitPage: RegisterPage
  ) {
    receiveTail = E1000TailPage(receivePage, ring: E1000Register.rdbal)
    transmitTail = E1000TailPage(transmitPage, ring: E1000Register.tdbal)
    self.registers = registers
    self.eeprom = eeprom
    self.memory = memory
    self.counters = counters
    self.options = options
    self.transmitEpoch = transmitEpoch
    reset(powerOn: true)
  }

  /// Whether the current access may change the pin, a timer or a page.
  @inline(__always)
  var hasRareEffects: Bool { interrupts.isUnsettled || effects.changedTimers != 0 || !effects.pages.isEmpty }

  /// Resets registers, interrupts and receiver. Keeps the EEPROM, the PHY and IOADDR, and also PBA unless `powerOn`.
  mutating func reset(powerOn: Bool) {
    registers.reset(powerOn: powerOn)
    let address = eeprom.receiveAddress
    registers[E1000Register.ral0] = address.low
    registers[E1000Register.rah0] = address.high
    interrupts.reset()
    transmitEpoch.advance()
    receiver.reset()
    for timer in E1000Timer.allCases where timer != .starvation { effects.cancel(timer) }
    forgetTails()
    showLink()
  }

  /// The guest wrote the PCI command register. Checks both rings: tails may have moved while bus mastering was off.
  mutating func commandWritten() {
    guard isBusMaster else { return }
    receiveRingChanged()
    effects.ringsDoorbell = true
  }

  // MARK: CTRL, link and PHY (SDM 13.4.1, 13.4.2, 13.4.6)

  mutating func controlWritten(_ value: UInt32) {
    if value & E1000Control.reset != 0 { return reset(powerOn: false) }
    if value & E1000Control.phyReset != 0 { phy.reset() }
    updateLink()
  }

  var hasLink: Bool {
    let control = registers[E1000Register.ctrl]
    return phy.hasLink && control & E1000Control.setLinkUp != 0 && control & E1000Control.phyReset == 0
  }

  /// Sent frames go straight to the receiver (RCTL.LBM, or PHY register 0 bit 14).
  var isLoopback: Bool { phy.isLoopback || registers[E1000Register.rctl] & E1000ReceiveControl.loopbackMask != 0 }

  /// Plugs the cable in or out.
  mutating func setCable(up: Bool) {
    guard phy.cableLink != up else { return }
    phy.cableLink = up
    updateLink()
  }

  /// Updates STATUS, and raises LSC if LU changed.
  private mutating func updateLink() {
    let before = registers[E1000Register.status] & E1000Status.linkUp != 0
    showLink()
    guard before != hasLink else { return }
    if before { phy.linkLost() }
    interrupts.raise(.linkStatusChange)
    wakeTransmitter()
  }

  /// Updates STATUS: SPEED and FD come from the PHY unless CTRL forces them; ASDV comes from the PHY (SDM 13.4.2).
  private func showLink() {
    let control = registers[E1000Register.ctrl]
    let mode = phy.mode ?? E1000PHY.Mode(speed: 2, isFullDuplex: true)
    let speed = UInt32(mode.speed)
    let forced = control >> E1000Control.speedShift & 3
    var status = speed << E1000Status.autoDetectedSpeedShift
    status |= (control & E1000Control.forceSpeed != 0 ? forced : speed) << E1000Status.speedShift
    let isFullDuplex =
      control & E1000Control.forceDuplex != 0 ? control & E1000Control.fullDuplex != 0 : mode.isFullDuplex
    if isFullDuplex { status |= E1000Status.fullDuplex }
    if hasLink { status |= E1000Status.linkUp }
    registers[E1000Register.status] = status
  }

  /// A write of MDIC: reads or writes a register of the PHY. The operation completes at once.
  mutating func accessPHY(_ value: UInt32) {
    let register = value >> E1000MDI.registerShift & 0x1F
    var result = value & ~(E1000MDI.ready | E1000MDI.error) | E1000MDI.ready
    if value >> E1000MDI.phyShift & 0x1F != E1000MDI.phyAddress {
      result |= E1000MDI.error
    } else {
      switch value & E1000MDI.operationMask {
      case E1000MDI.read: result = result & ~E1000MDI.dataMask | UInt32(phy.read(register))
      case E1000MDI.write:
        let renegotiated = phy.write(register, UInt16(truncatingIfNeeded: value))
        updateLink()
        if renegotiated, hasLink {
          phy.linkLost()
          interrupts.raise(.linkStatusChange)
        }
      default: result |= E1000MDI.error
      }
    }
    registers[E1000Register.mdic] = result
    if value & E1000MDI.interruptEnable != 0 { interrupts.raise(.mdiAccessComplete) }
  }
}
