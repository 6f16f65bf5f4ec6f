import Bus
import Registers
import Threads

/// Device 0: the Intel 82441FX host bridge (440FX). It only has an identity, for drivers that look for it.
package func makeHostBridgeFunction() -> PCIFunction {
  var identity = PCIIdentity(vendor: 0x8086, device: 0x1237, baseClass: 0x06, subclass: 0x00)
  identity.revision = 2
  return PCIFunction(name: "host-bridge", identity: identity, bars: [])
}

/// Device 1, function 0: the Intel 82371SB (PIIX3) ISA bridge, which routes PCI interrupts.
///
/// INTA# of device n is PIRQ (n - 1) mod 4. PIRQRC[A:D] selects the ISA interrupt that each PIRQ drives (82371SB
/// datasheet, 2.3.4). Firmware routes PIRQA and B to 10, and C and D to 11.
// Unchecked: `PCIFunction` is; the state here is constant, or in `Guarded` or `LoopBound`.
package final class PIIX3Bridge: PCIFunction, @unchecked Sendable {
  /// Called with a PIRQ (0 to 3) and its interrupt, or nil for none, when the guest routes the PIRQ.
  package typealias RouteObserver = @Sendable (_ pirq: Int, _ interrupt: UInt8?) -> Void

  private let observer = Guarded<RouteObserver?>(.leaf, nil)

  package init() {
    var identity = PCIIdentity(vendor: 0x8086, device: 0x7000, baseClass: 0x06, subclass: 0x01)
    identity.isMultiFunction = true
    super.init(name: "piix3", identity: identity, bars: [])
    // PCISTS is 0200H (82371SB datasheet, PCISTS).
    setConfiguration(PCIRegister.status + 1, UInt8(truncatingIfNeeded: PCIStatus.mediumSelect >> 8))
    for (pirq, interrupt) in PIIX3Register.firmwareRoutes.enumerated() {
      setConfiguration(PIIX3Register.pirqRouteControl + pirq, interrupt, writable: 0x8F)
    }
  }

  package func observeRoutes(_ observer: @escaping RouteObserver) {
    self.observer.withLock { $0 = observer }
    for pirq in 0..<4 { tell(pirq) }
  }

  package override func configurationWritten(_ offset: Int) {
    let pirq = offset - PIIX3Register.pirqRouteControl
    if (0..<4).contains(pirq) { tell(pirq) }
  }

  private func tell(_ pirq: Int) {
    let route = UInt8(truncatingIfNeeded: readConfiguration(PIIX3Register.pirqRouteControl + pirq, width: 1))
    // The datasheet's reserved values disconnect the PIRQ.
    let isRouted = route & PIIX3Register.routeDisabled == 0 && ![0, 1, 2, 8, 13].contains(route & 0x0F)
    let observer = observer.withLock { $0 }
    observer?(pirq, isRouted ? route & 0x0F : nil)
  }
}
