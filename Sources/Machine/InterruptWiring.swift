import Bus
import Devices
import EventLoop
import Failures
import KVM
import Registers

/// The interrupt wiring of a PC: 24 inputs of the interrupt controllers, and four PIRQs that PIIX3 routes to them.
struct InterruptWiring {
  private let gsis: [SharedInterruptLine]
  private let pirqs: [PIRQLine]
  /// Several functions may share one PIRQ.
  private let sharedPIRQs: [SharedInterruptLine]

  init(
    machine: VirtualMachine, refusals: KVMRefusals, bus: Bus, loop: EventLoop, usesIrqfd: Bool
  ) throws(Failure) {
    gsis = (0..<24).map { gsi in
      SharedInterruptLine(.sharedGSI, output: GSILine(machine: machine, refusals: refusals, gsi: UInt32(gsi)))
    }
    var pirqs: [PIRQLine] = []
    for _ in 0..<4 {
      pirqs.append(try PIRQLine(machine: machine, refusals: refusals, bus: bus, loop: loop, usesIrqfd: usesIrqfd))
    }
    self.pirqs = pirqs
    sharedPIRQs = pirqs.map { SharedInterruptLine(.sharedPIRQ, output: $0) }
  }

  /// Creates a device's input to the line of ISA interrupt `number`.
  func makeLine(_ number: Int) -> any InterruptLine { gsis[number].makeInput() }

  /// Creates the INTA# line of the function in `slot`. Also returns the interrupt that firmware routes it to.
  func makePin(slot: Int) -> (line: any InterruptLine, interrupt: UInt8) {
    let pirq = PIIX3Register.pirq(device: slot)
    return (sharedPIRQs[pirq].makeInput(), PIIX3Register.firmwareRoutes[pirq])
  }

  /// Routes the PIRQs as the guest sets the bridge's registers.
  func follow(_ bridge: PIIX3Bridge) {
    bridge.observeRoutes { [gsis, pirqs] pirq, interrupt in
      let gsi = interrupt.map { UInt32($0) }
      pirqs[pirq].route(to: gsi, output: gsi.map { gsis[Int($0)].makeInput() })
    }
  }

  /// Disconnects the PIRQs. On the loop's thread.
  func detach() { for pirq in pirqs { pirq.detach() } }
}
