import CGuest

/// A function on PCI bus 0, reached by configuration mechanism #1 (PCI 3.0, 3.2.2.3.2).
struct PCIDevice {
  let slot: UInt32
  let number: UInt32

  private func select(_ register: Int) {
    let address = slot << 11 | number << 8 | UInt32(register & 0xFC)
    guest_outl(PCIConfigurationPort.address, PCIConfigurationPort.enable | address)
  }

  func read32(_ register: Int) -> UInt32 {
    select(register)
    return guest_inl(PCIConfigurationPort.data)
  }

  func read16(_ register: Int) -> UInt16 { UInt16(truncatingIfNeeded: read32(register) >> UInt32(8 * (register & 2))) }
  func read8(_ register: Int) -> UInt8 { UInt8(truncatingIfNeeded: read32(register) >> UInt32(8 * (register & 3))) }

  func write32(_ register: Int, _ value: UInt32) {
    select(register)
    guest_outl(PCIConfigurationPort.data, value)
  }

  func write16(_ register: Int, _ value: UInt16) {
    select(register)
    guest_outw(PCIConfigurationPort.data + UInt16(register & 2), value)
  }

  func write8(_ register: Int, _ value: UInt8) {
    select(register)
    guest_outb(PCIConfigurationPort.data + UInt16(register & 3), value)
  }

  var identity: UInt32 { read32(PCIRegister.vendorID) }

  /// The capability with `id` that follows `after`; nil at the end of the list.
  func capability(_ id: UInt8, after: Int = 0) -> Int? {
    var offset = Int(read8(after == 0 ? PCIRegister.capabilitiesPointer : after + 1))
    var steps = 0
    while offset >= 0x40, steps < 48 {
      if read8(offset) == id { return offset }
      offset = Int(read8(offset + 1))
      steps += 1
    }
    return nil
  }

  /// The address in BAR `index`. Assigns one if it has none, since qboot leaves that to the guest.
  func baseAddress(_ index: Int) -> UInt64 {
    let register = PCIRegister.bar0 + 4 * index
    let present = read32(register)
    let isPort = present & 1 != 0
    let mask: UInt32 = isPort ? 0xFFFF_FFFC : 0xFFFF_FFF0
    if present & mask != 0 { return UInt64(present & mask) }
    write32(register, ~0)
    let sizing = read32(register) & mask
    guard sizing != 0 else { return 0 }
    let size = ~sizing &+ 1
    let place = isPort ? PCIWindow.takePorts(size & 0xFFFF) : PCIWindow.takeMemory(size)
    write32(register, place)
    if !isPort, present & 0x4 != 0 { write32(register + 4, 0) }
    return UInt64(place)
  }

  /// Enables the function's address decoding and bus mastering.
  func enable() {
    let wanted = PCICommand.ioSpace | PCICommand.memorySpace | PCICommand.busMaster
    write16(PCIRegister.command, read16(PCIRegister.command) | wanted)
  }

  /// The interrupt input that INTA# drives, as the PIIX3's PIRQRC routes it (82371SB datasheet, 2.3.4). Sets a route if
  /// there is none.
  ///
  /// The Interrupt Line register only holds firmware's opinion: qboot writes 11 although its own route leads to 10.
  var interruptPin: UInt32 {
    let bridge = PCIDevice(slot: 1, number: 0)
    guard bridge.identity == 0x7000_8086 else { return UInt32(read8(PCIRegister.interruptLine)) }
    // INTA# of a slot is PIRQ (slot - 1) mod 4.
    let register = PIIX3Register.pirqRouteControl + Int((slot + 3) & 3)
    let route = bridge.read8(register)
    if route & PIIX3Register.routeDisabled == 0, route & 0xF >= 3 { return UInt32(route & 0xF) }
    bridge.write8(register, 11)
    write8(PCIRegister.interruptLine, 11)
    return 11
  }

  /// The `index`-th function with this vendor and device; nil when there is none.
  static func find(vendor: UInt16, device: UInt16, index: Int = 0) -> PCIDevice? {
    var left = index
    for slot in UInt32(0)..<32 {
      let first = PCIDevice(slot: slot, number: 0)
      guard first.identity != ~0 else { continue }
      let count: UInt32 = first.read8(PCIRegister.headerType) & 0x80 != 0 ? 8 : 1
      for number in 0..<count {
        let candidate = PCIDevice(slot: slot, number: number)
        guard candidate.identity == UInt32(device) << 16 | UInt32(vendor) else { continue }
        if left == 0 { return candidate }
        left -= 1
      }
    }
    return nil
  }
}

/// Addresses for BARs that firmware did not assign.
enum PCIWindow {
  nonisolated(unsafe) private static var nextMemory: UInt32 = 0xE000_0000
  nonisolated(unsafe) private static var nextPort: UInt32 = 0xC000

  static func takeMemory(_ size: UInt32) -> UInt32 {
    let step = max(size, 4096)
    let place = (nextMemory &+ step &- 1) & ~(step &- 1)
    nextMemory = place &+ step
    return place
  }

  static func takePorts(_ size: UInt32) -> UInt32 {
    let place = (nextPort &+ size &- 1) & ~(size &- 1)
    nextPort = place &+ size
    return place
  }
}
