import Bus
import Counters
import Registers

/// The page of BAR 0 with the registers of one ring, which is RAM for the guest while traffic flows.
///
/// The page is a mailbox: `E1000RegisterFile` stays the truth. The device looks at the tail in the page, and passes what
/// it finds to `writeRegister`, as if the write had exited. So values of the guest enter at the same place as ever. It
/// shows in the page what it changes itself, such as the head.
struct E1000TailPage: Sendable {
  /// Writes of the tail that exit, within `window`, before the page is shown.
  static var threshold: Int { 32 }
  /// In nanoseconds.
  static var window: UInt64 { 10_000_000 }

  let page: RegisterPage
  let words: RegisterPage.Words
  /// The offset in BAR 0 of the ring's first register, TDBAL or RDBAL.
  let ring: UInt32
  var tail: UInt32 { ring + 0x18 }
  /// The page is or was shown, and its stores count.
  var isInUse = false
  /// The guest stored more than tails, so the page stays hidden until a reset.
  var isMisused = false
  /// Writes of the tail that exited since the last request to show the page.
  var exits = 0
  /// When that request was made.
  var lastRequest: UInt64?

  init(_ page: RegisterPage, ring: UInt32) {
    self.page = page
    words = page.words
    self.ring = ring
  }

  /// Shows the page with the values of `registers`, if the tail was written often enough lately.
  mutating func show(
    _ registers: borrowing E1000RegisterFile, isEnabled: Bool, now: UInt64, counters: Counters
  ) {
    exits = 0
    let last = lastRequest
    lastRequest = now
    guard !isInUse, isEnabled, !isMisused, let last, now &- last <= Self.window else { return }
    let first = ring & ~0xFFF
    for offset in stride(from: first, to: first + 0x1000, by: 4) { words[offset] = registers[offset] }
    isInUse = page.show()
    if isInUse { counters.add(.pagesShown) }
  }
}

/// Requests of an access to show or to hide pages.
struct E1000PageRequests: OptionSet {
  let rawValue: UInt8
  static var showReceive: Self { Self(rawValue: 1) }
  static var showTransmit: Self { Self(rawValue: 2) }
  static var hideReceive: Self { Self(rawValue: 4) }
  static var hideTransmit: Self { Self(rawValue: 8) }
}

/// The regular looks at TDT while the guest can store it unnoticed.
struct E1000TailLooks {
  /// Between two looks, in nanoseconds.
  static var interval: UInt64 { 50_000 }
  /// Looks without a store before the page closes: 1 ms.
  static var patience: Int { 20 }
  /// The same after a store has opened the page, since that store is yet to come: 20 ms.
  static var openingPatience: Int { 400 }

  /// The timer is set.
  var isSet = false
  /// Looks left before the page closes.
  var left = Self.patience
  /// TDT at the last look.
  var tail: UInt32 = 0

  /// An opening with fewer new tails than this costs more than the exits that it saves.
  static var worthwhile: Int { 8 }
  /// Openings in a row that were not worth their cost, before the page is hidden.
  static var limit: Int { 8 }

  /// New tails that were found since the page was opened.
  var found = 0
  /// Openings in a row that were not worth their cost.
  var wasted = 0

  /// Counts an opening that ends.
  ///
  /// - Returns: whether the page should be hidden instead of closed.
  mutating func countOpening() -> Bool {
    wasted = found < Self.worthwhile ? wasted + 1 : 0
    found = 0
    guard wasted >= Self.limit else { return false }
    wasted = 0
    return true
  }
}

extension E1000State {
  // MARK: Stores of the guest

  /// Takes over TDT from the page.
  @inline(__always)
  mutating func readTransmitTail() {
    if transmitTail.isInUse, transmitTail.words[E1000Register.tdt] != registers[E1000Register.tdt] {
      tailLooks.found &+= 1
      applyStores(transmitTail, isWhole: false)
    }
  }

  /// Takes over RDT from the page.
  @inline(__always)
  mutating func readReceiveTail() {
    if receiveTail.isInUse, receiveTail.words[E1000Register.rdt] != registers[E1000Register.rdt] {
      applyStores(receiveTail, isWhole: false)
    }
  }

  /// Applies the guest's stores to a page, in the order of the registers, which is the order in which drivers set up a
  /// ring. A guest that stored anything but a tail gets no page any more: reads of RAM do not have the registers' masks.
  ///
  /// - Parameter isWhole: all of the page; otherwise the 16 registers at the ring's first one.
  @inline(never)
  private mutating func applyStores(_ tailPage: E1000TailPage, isWhole: Bool) {
    var isMisused = false
    let first = isWhole ? tailPage.ring & ~0xFFF : tailPage.ring
    for offset in stride(from: first, to: first + (isWhole ? 0x1000 : 0x40), by: 4) {
      let stored = tailPage.words[offset]
      guard stored != registers[offset] else { continue }
      writeRegister(offset, stored)
      if offset != tailPage.tail { isMisused = true }
      if registers[offset] != stored {
        isMisused = true
        tailPage.words.replace(stored, by: registers[offset], at: offset)
      }
    }
    guard isMisused else { return }
    if tailPage.ring == E1000Register.tdbal {
      transmitTail.isMisused = true
      hideTransmitTail()
    } else {
      receiveTail.isMisused = true
      hideReceiveTail()
    }
  }

  /// Shows a register's value in its page.
  @inline(__always)
  func showInPage(_ offset: UInt32) {
    if transmitTail.isInUse, offset & ~0xFFF == E1000Register.transmitPage {
      transmitTail.words[offset] = registers[offset]
    } else if receiveTail.isInUse, offset & ~0xFFF == E1000Register.receivePage {
      receiveTail.words[offset] = registers[offset]
    }
  }

  // MARK: Showing and hiding

  /// A write of TDT or RDT exited, or KVM held it. After many of them, the page is worth its cost.
  mutating func tailWriteExited(_ offset: UInt32) {
    guard options.tailPages else { return }
    if offset == E1000Register.tdt {
      transmitTail.exits += 1
      if transmitTail.exits >= E1000TailPage.threshold { effects.pages.insert(.showTransmit) }
    } else {
      receiveTail.exits += 1
      if receiveTail.exits >= E1000TailPage.threshold { effects.pages.insert(.showReceive) }
    }
  }

  mutating func hideTransmitTail() { if transmitTail.isInUse { effects.pages.insert(.hideTransmit) } }
  mutating func hideReceiveTail() { if receiveTail.isInUse { effects.pages.insert(.hideReceive) } }

  /// A reset: stores to the pages do not count any more.
  mutating func forgetTails() {
    hideTransmitTail()
    hideReceiveTail()
    transmitTail.isInUse = false
    receiveTail.isInUse = false
    transmitTail.isMisused = false
    receiveTail.isMisused = false
    tailLooks = E1000TailLooks()
  }

  /// The guest wrote a BAR or the PCI command: a page that is hidden now has its last stores.
  mutating func settleHiddenPages() {
    if !transmitTail.page.isShown { hideTransmitTail() }
    if !receiveTail.page.isShown { hideReceiveTail() }
  }

  /// Shows and hides pages as requested.
  ///
  /// - Parameter now: the loop's time.
  mutating func applyPages(now: UInt64) {
    let requests = effects.takePages()
    if requests.contains(.hideTransmit) {
      transmitTail.page.hide()
      if transmitTail.isInUse { applyStores(transmitTail, isWhole: true) }
      transmitTail.isInUse = false
    }
    if requests.contains(.hideReceive) {
      receiveTail.page.hide()
      if receiveTail.isInUse { applyStores(receiveTail, isWhole: true) }
      receiveTail.isInUse = false
    }
    if requests.contains(.showTransmit) {
      let isEnabled = registers[E1000Register.tctl] & E1000TransmitControl.enable != 0
      transmitTail.show(registers, isEnabled: isEnabled, now: now, counters: counters)
      if transmitTail.isInUse {
        // Closed, if KVM interprets the guest: then a store to a closed page exits, and does not open it.
        transmitTail.page.open()
        lookAtTailLater()
      }
    }
    if requests.contains(.showReceive) {
      let isEnabled = registers[E1000Register.rctl] & E1000ReceiveControl.enable != 0
      receiveTail.show(registers, isEnabled: isEnabled, now: now, counters: counters)
    }
    // Hiding may have asked to hide again.
    effects.pages = []
  }

  // MARK: Looks

  /// Sets the timer for the next look at TDT, unless it is set, or the page is closed.
  mutating func lookAtTailLater() {
    guard !tailLooks.isSet, transmitTail.page.isOpen else { return }
    tailLooks.isSet = true
    tailLooks.left = E1000TailLooks.openingPatience
    tailLooks.tail = registers[E1000Register.tdt]
    effects.set(.tailLook, after: E1000TailLooks.interval)
  }

  /// The timer's look is over. Sets it again, as long as the guest stores tails. After too many openings that were not
  /// worth their cost, requests to hide the page; it is shown again when the guest writes tails quickly.
  ///
  /// - Returns: whether the guest stores no more, so that the page should close.
  mutating func tailLooked() -> Bool {
    tailLooks.isSet = false
    guard transmitTail.isInUse else { return false }
    let tail = registers[E1000Register.tdt]
    let left = tail == tailLooks.tail ? tailLooks.left - 1 : E1000TailLooks.patience
    guard left > 0 else {
      guard tailLooks.countOpening() else { return true }
      hideTransmitTail()
      return false
    }
    lookAtTailLater()
    tailLooks.left = left
    return false
  }
}
