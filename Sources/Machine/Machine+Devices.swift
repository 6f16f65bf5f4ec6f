import Bus
import Counters
import Devices
import Failures

/// Creates the configured disks and NICs, in the state in which firmware leaves them: with BARs, interrupt lines,
/// decoding and bus mastering set up.
extension Machine {
  private static let firstSlot = 3
  private static let lastSlot = 31

  func plugDevices() throws(Failure) {
    var firmware = Firmware()
    let ideDisks = configuration.disks.filter { $0.model == .ide }
    if !ideDisks.isEmpty { try plugIDE(ideDisks, &firmware) }
    var slot = Self.firstSlot
    var number = 0
    for disk in configuration.disks where disk.model == .virtio {
      let name = "virtio-blk\(number)"
      let counters = Counters(owner: name)
      let device = try VirtioBlock(
        name: name, storage: disk.storage, serial: disk.serial, queueCount: min(configuration.vCPUs, 4), memory: memory,
        loop: loop, counters: counters, options: virtioOptions)
      try plug(device, slot: slot, counters, &firmware)
      slot += 1
      number += 1
    }
    for (index, nic) in configuration.nics.enumerated() {
      try plugNIC(nic, index: index, slot: slot, &firmware)
      slot += 1
    }
  }

  private func plugNIC(
    _ nic: MachineConfiguration.NIC, index: Int, slot: Int, _ firmware: inout Firmware
  ) throws(Failure) {
    let name = "\(nic.model == .e1000 ? "e1000-" : "virtio-net")\(index)"
    let counters = Counters(owner: name)
    switch nic.model {
    case .e1000:
      var options = E1000.Options()
      options.coalescesWrites = !configuration.disabled.contains(.coalescing)
      options.coalescesMask = resamplesInterrupts
      // A trace shows all accesses, so they must exit.
      options.tailPages = !configuration.disabled.contains(.tailPages) && configuration.trace == nil
      options.interruptModeration = !configuration.disabled.contains(.moderation)
      let device = try E1000(
        name: name, macAddress: nic.macAddress, memory: memory, backend: nic.backend, loop: loop, counters: counters,
        options: options)
      adopt(device, counters)
      try plugFunction(device, slot: slot, &firmware)
    case .virtio:
      let device = try VirtioNet(
        name: name, macAddress: nic.macAddress, mtu: nic.mtu,
        queuePairs: nic.queuePairs ?? min(configuration.vCPUs, 4), backend: nic.backend,
        offersOffloads: !configuration.disabled.contains(.offloads), memory: memory, loop: loop, counters: counters,
        options: virtioOptions)
      try plug(device, slot: slot, counters, &firmware)
    }
  }

  private var virtioOptions: VirtioFunction.Options {
    var options = VirtioFunction.Options()
    options.offersMSIX = !configuration.disabled.contains(.msix)
    options.offersEventIndex = !configuration.disabled.contains(.eventIndex)
    return options
  }

  private func plugIDE(_ disks: [MachineConfiguration.Disk], _ firmware: inout Firmware) throws(Failure) {
    guard disks.count <= 4 else {
      throw Failure(
        "plug in \(disks.count) IDE disks", cause: "the controller has two channels with two disks each",
        fix: "Use model=virtio for the others.")
    }
    let counters = Counters(owner: "ide")
    let controller = try IDEController(name: "ide", memory: memory, loop: loop, counters: counters)
    for (index, disk) in disks.enumerated() {
      controller.attachDrive(
        disk.storage, channel: index / 2, drive: index % 2, model: "SWIFTLET HARDDISK", serial: disk.serial)
    }
    adopt(controller, counters)
    bridge.plug(controller, device: 1, function: 1)
    controller.attach(to: bus, line: nil, interruptLine: 0)
    firmware.assign(controller)
    controller.attachPorts(to: bus, lines: (wiring.makeLine(14), wiring.makeLine(15)))
  }

  private func plug(
    _ device: VirtioFunction, slot: Int, _ counters: Counters, _ firmware: inout Firmware
  ) throws(Failure) {
    if let messages = device.messages {
      messages.connect(
        KVMMessageRouter(
          machine: virtualMachine, refusals: refusals, vectorCount: messages.vectorCount,
          usesIrqfd: !configuration.disabled.contains(.irqfd)))
    }
    adopt(device, counters)
    try plugFunction(device, slot: slot, &firmware)
  }

  func plugFunction(_ function: PCIFunction, slot: Int, _ firmware: inout Firmware) throws(Failure) {
    guard slot <= Self.lastSlot else {
      throw Failure(
        "plug in \(function.name)", cause: "bus 0 has no free slot", fix: "Use fewer --disk and --net options.")
    }
    bridge.plug(function, device: slot)
    let pin = wiring.makePin(slot: slot)
    function.attach(to: bus, line: pin.line, interruptLine: pin.interrupt)
    firmware.assign(function)
  }
}

/// Assigns addresses to BARs as firmware does, and enables decoding and bus mastering.
struct Firmware {
  private var nextMemory: UInt32 = 0xE000_0000
  private var nextPort: UInt32 = 0xC000

  mutating func assign(_ function: PCIFunction) {
    for (index, bar) in function.baseAddresses.enumerated() {
      guard let bar else { continue }
      switch bar.kind {
      case .memory:
        let step = max(bar.size, 4096)
        let place = (nextMemory + step - 1) & ~(step - 1)
        function.assign(bar: index, to: place)
        nextMemory = place + step
      case .port:
        let place = (nextPort + bar.size - 1) & ~(bar.size - 1)
        function.assign(bar: index, to: place)
        nextPort = place + bar.size
      }
    }
    // I/O space, memory space, bus master.
    function.writeConfiguration(0x04, 0x0007, width: 2)
  }
}
