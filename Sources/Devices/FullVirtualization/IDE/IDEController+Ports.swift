import Bus
import Registers
import Synchronization

/// The legacy port ranges of both channels, and whether they are mapped.
struct IDEPorts {
  var bus: Bus?
  /// The command and control block of each channel, and whether each is on the bus.
  var blocks: [[(range: BusRange, isMapped: Bool)]] = []
}

/// The legacy ports (PCI IDE Controller Specification 1.0, 2.1). They are mapped while the guest has them decoded.
extension IDEController {
  /// Maps the legacy ports of both channels on `bus`, and connects their INTRQ. A PC wires these to IRQ 14 and 15.
  package func attachPorts(to bus: Bus, lines: (primary: any InterruptLine, secondary: any InterruptLine)) {
    connect([lines.primary, lines.secondary])
    let blocks = [
      (ATAPort.primaryCommand, ATAPort.primaryControl), (ATAPort.secondaryCommand, ATAPort.secondaryControl),
    ]
    // Features to Device. The drive does not use them before the command, whose write exits.
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

  /// Maps and unmaps the blocks as PCI command bit 0 and IDETIM bit 15 of each channel require. If another device has a
  /// block's ports, the block waits until they are free (`roomWasFreed`).
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
