import CGuest

/// The vectors that programs use. The stubs in Entry.S count each interrupt.
enum Vector: UInt32 {
  /// The class that `InterruptController.holdBack` holds back.
  case deferrable0 = 0x30
  case console = 0x40
  case timer = 0x41
  case spurious = 0xFF
  case device0 = 0x50
  case device1 = 0x51
  case device2 = 0x52
  case device3 = 0x53
  case device4 = 0x54
  case device5 = 0x55

  /// The n-th vector for a device.
  static func device(_ index: Int) -> Vector { Vector(rawValue: 0x50 + UInt32(index)) ?? .device0 }
}

/// The local APIC and the IOAPIC (Intel SDM volume 3, chapter 11; 82093AA datasheet).
enum InterruptController {
  static var localAPIC: UInt64 { 0xFEE0_0000 }
  static var ioAPIC: UInt64 { 0xFEC0_0000 }

  /// Enables the calling CPU's local APIC.
  static func setUp() { mmio_write32(localAPIC + 0xF0, 0x100 | Vector.spurious.rawValue) }

  static func endOfInterrupt() { mmio_write32(localAPIC + 0xB0, 0) }

  /// Holds the deferrable vectors back, or lets them through: a write of the calling CPU's task priority.
  static func holdBack(_ holds: Bool) { mmio_write32(localAPIC + 0x80, holds ? Vector.deferrable0.rawValue : 0) }

  static var currentID: UInt32 { mmio_read32(localAPIC + 0x20) >> 24 }

  /// Sends a fixed, INIT or start-up message (ICR).
  static func sendIPI(to apicID: UInt32, _ low: UInt32) {
    mmio_write32(localAPIC + 0x310, apicID << 24)
    mmio_write32(localAPIC + 0x300, low)
  }

  /// Makes the calling CPU's timer interrupt every 100 ms. KVM's local APIC counts nanoseconds.
  static func startTimer(vector: UInt32) {
    mmio_write32(localAPIC + 0x3E0, 0x0B)  // divide by 1
    mmio_write32(localAPIC + 0x320, 1 << 17 | vector)  // periodic
    mmio_write32(localAPIC + 0x380, 100_000_000)
  }

  /// Routes an IOAPIC pin to `vector` on `apicID`.
  static func routePin(_ pin: UInt32, to vector: UInt32, levelTriggered: Bool, apicID: UInt32) {
    mmio_write32(ioAPIC, 0x11 + 2 * pin)
    mmio_write32(ioAPIC + 0x10, apicID << 24)
    mmio_write32(ioAPIC, 0x10 + 2 * pin)
    mmio_write32(ioAPIC + 0x10, vector | (levelTriggered ? 1 << 15 : 0))
  }

  static func maskPin(_ pin: UInt32) {
    mmio_write32(ioAPIC, 0x10 + 2 * pin)
    mmio_write32(ioAPIC + 0x10, 1 << 16)
  }
}

/// One interrupt: the count that its stub increments, and how many of these the program has seen.
struct Interrupt {
  let vector: UInt32
  private let counter: UInt64
  private var seen: UInt32

  init(vector: Vector) { self.init(number: vector.rawValue) }

  /// - Parameter number: any vector from 0x20 on.
  init(number: UInt32) {
    vector = number
    counter = guest_vector_count_address(number)
    seen = ring_load32(counter)
  }

  /// Routes an IOAPIC pin to this interrupt on the calling CPU.
  func routePin(_ pin: UInt32, levelTriggered: Bool) {
    InterruptController.routePin(
      pin, to: vector, levelTriggered: levelTriggered, apicID: InterruptController.currentID)
  }

  var isPending: Bool { ring_load32(counter) != seen }

  /// Sleeps until the interrupt arrives; `acknowledge` must follow.
  func wait() {
    while ring_load32(counter) == seen { service_halt(counter, seen) }
  }

  /// Sleeps until the interrupt arrives. Returns false if `goesOn` ends the wait after another interrupt.
  func wait(while goesOn: () -> Bool) -> Bool {
    while ring_load32(counter) == seen {
      guard goesOn() else { return false }
      service_halt(counter, seen)
    }
    return true
  }

  /// Marks the interrupt as seen, and lets the local APIC deliver the next one.
  mutating func acknowledge() {
    seen = ring_load32(counter)
    InterruptController.endOfInterrupt()
  }

  /// Acknowledges interrupts that arrived while the program did not wait.
  mutating func drain() { while isPending { acknowledge() } }
}
