import Bus
import Devices
import EventLoop
import Failures
import KVM
import Registers

/// The wires of a PC: the 24 inputs of the interrupt controllers, and the four PIRQs that PIIX3 routes to some of them.
struct InterruptWiring {
  private let gsis: [SharedInterruptLine]
  private let pirqs: [PIRQLine]
  /// Several functions may pull one PIRQ.
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

  /// A device's end of the line of ISA interrupt `number`.
  func makeLine(_ number: Int) -> any InterruptLine { gsis[number].makeInput() }

  /// The end of INTA# of the function in `slot`, and the interrupt that firmware wrote for it.
  func makePin(slot: Int) -> (line: any InterruptLine, interrupt: UInt8) {
    let pirq = PIIX3Register.pirq(device: slot)
    return (sharedPIRQs[pirq].makeInput(), PIIX3Register.firmwareRoutes[pirq])
  }

  /// Lets the guest route the PIRQs by the bridge's registers.
  func follow(_ bridge: PIIX3Bridge) {
    bridge.observeRoutes { [gsis, pirqs] pirq, interrupt in
      let gsi = interrupt.map { UInt32($0) }
      pirqs[pirq].route(to: gsi, output: gsi.map { gsis[Int($0)].makeInput() })
    }
  }

  /// Releases the events that KVM signals. On the loop's thread.
  func detach() { for pirq in pirqs { pirq.detach() } }
}
