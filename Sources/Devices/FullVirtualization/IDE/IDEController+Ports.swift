import Bus
import Registers
import Synchronization

/// The legacy ranges of both channels, and which are claimed now.
struct IDEPorts {
  var bus: Bus?
  /// The command and control blocks of each channel, and whether each is on the bus now.
  var blocks: [[(range: BusRange, isMapped: Bool)]] = []
}

/// The legacy ports (PCI IDE Controller Specification 1.0, 2.1), claimed while the guest has them decoded.
extension IDEController {
  /// Claims the task files on `bus` and connects INTRQ of both channels, which a PC wires to IRQ 14 and 15.
  package func attachPorts(to bus: Bus, lines: (primary: any InterruptLine, secondary: any InterruptLine)) {
    connect([lines.primary, lines.secondary])
    let blocks = [
      (ATAPort.primaryCommand, ATAPort.primaryControl), (ATAPort.secondaryCommand, ATAPort.secondaryControl),
    ]
    // Features to Device. The drive acts on none of them before the command, which exits.
    let held = options.coalescesTaskFile ? [Acceleration.coalesced(offset: 1, size: 6)] : []
    let ranges = blocks.enumerated().map { index, block in
      [
        BusRange(
          "\(name).channel\(index)", .port, at: UInt64(block.0), size: UInt64(ATARegister.size), target: self,
          region: Region.legacy + 2 * index, accelerations: held),
        BusRange(
          "\(name).control\(index)", .port, at: UInt64(block.1), size: 1, target: self,
          region: Region.legacy + 2 * index + 1),
      ]
    }
    ports.withLock { ports in
      ports.bus = bus
      ports.blocks = ranges.map { $0.map { ($0, false) } }
    }
    updatePorts()
  }

  /// Follows PCI command bit 0 and IDETIM bit 15 of each channel. A block whose place another device has waits for it.
  func updatePorts() {
    ports.withLock { ports in
      guard let bus = ports.bus else { return }
      let command = UInt16(truncatingIfNeeded: readConfiguration(PCIRegister.command, width: 2))
      for (index, timing) in [PIIX3IDERegister.primaryTiming, PIIX3IDERegister.secondaryTiming].enumerated() {
        let decode = UInt16(truncatingIfNeeded: readConfiguration(timing, width: 2)) & PIIX3IDERegister.decodeEnable
        let wanted = command & PCICommand.ioSpace != 0 && decode != 0
        for block in ports.blocks[index].indices where ports.blocks[index][block].isMapped != wanted {
          let range = ports.blocks[index][block].range
          if !wanted { bus.unmap(range) }
          ports.blocks[index][block].isMapped = wanted && bus.map(range)
        }
      }
    }
  }
}
