import CLinux
import Failures
import GuestMemory
import KVM
import TestSupport
import Testing
import Threads

/// A machine of one vCPU that runs a few instructions of 32-bit code at 0x1000, without a bus or devices.
struct BareMachine {
  let system: System
  let machine: VirtualMachine
  let vCPU: VirtualCPU

  init(_ code: [UInt8]) throws {
    system = try System()
    let memory = try GuestMemory(size: 2 << 20)
    code.withUnsafeBytes { _ = memory.write($0, at: 0x1000) }
    machine = try VirtualMachine(system: system, memory: memory)
    vCPU = try VirtualCPU(machine: machine, index: 0, of: 1)
    var state = try vCPU.systemRegisters()
    func flat(_ selector: UInt16, _ type: UInt8) -> kvm_segment {
      var segment = kvm_segment()
      segment.limit = 0xFFFF_FFFF
      segment.selector = selector
      segment.type = type
      (segment.present, segment.db, segment.s, segment.g) = (1, 1, 1, 1)
      return segment
    }
    state.cs = flat(0x08, 0xB)
    state.ds = flat(0x10, 0x3)
    state.es = state.ds
    state.ss = state.ds
    state.cr0 = 0x11
    try vCPU.setSystemRegisters(state)
    var registers = try vCPU.registers()
    registers.rip = 0x1000
    registers.rflags = 2
    try vCPU.setRegisters(registers)
    vCPU.adoptCurrentThread()
  }

  /// The next exit other than a signal, as text: `out 0x600 = 1`, `store 0xe0000000 = 1`.
  func nextExit() throws -> String {
    while true {
      switch try vCPU.runOnce() {
      case .portIO(let port, let width, let isWrite, let data):
        let value = data.prefix(width).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        return "\(isWrite ? "out" : "in") 0x\(String(port, radix: 16))" + (isWrite ? " = \(value)" : "")
      case .memoryIO(let address, let isWrite, let data):
        let value = data.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        return "\(isWrite ? "store" : "load") 0x\(String(address, radix: 16))" + (isWrite ? " = \(value)" : "")
      case .interrupted: continue
      default: return "another exit"
      }
    }
  }

  /// `mov dx, port; mov al, value; out dx, al`
  static func out(_ port: UInt16, _ value: UInt8) -> [UInt8] {
    [0x66, 0xBA, UInt8(truncatingIfNeeded: port), UInt8(port >> 8), 0xB0, value, 0xEE]
  }

  /// `mov dword [address], value`
  static func store(_ address: UInt32, _ value: UInt32) -> [UInt8] {
    [0xC7, 0x05] + [address, value].flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
  }
}

@Suite("One machine in the kernel", .serialized, .needsKVM)
struct VirtualMachineTests {
  @Test("the ring returns held writes of ports and memory once, in order")
  func coalesced() throws {
    var code: [UInt8] = []
    for value in 1...20 as ClosedRange<UInt8> {
      code += BareMachine.out(value % 2 == 0 ? 0x600 : 0x601, value)
      code += BareMachine.store(0xE000_0000 + UInt32(value % 4) * 4, 100 + UInt32(value))
    }
    code += BareMachine.out(0xF4, 9)
    let bare = try BareMachine(code)
    guard bare.system.check(.coalescedPIO) > 0, let ring = bare.vCPU.coalescedRing(system: bare.system) else { return }
    try bare.machine.setCoalesced(.init(isPort: true, address: 0x600, size: 2), added: true)
    try bare.machine.setCoalesced(.init(isPort: false, address: 0xE000_0000, size: 16), added: true)
    // None of the forty writes exits.
    #expect(try bare.nextExit() == "out 0xf4 = 9")
    var seen: [String] = []
    let count = ring.drain { isPort, address, data in
      seen.append("\(isPort ? "port" : "memory") \(String(address, radix: 16)) \(data.count) \(data[0])")
    }
    var expected: [String] = []
    for value in 1...20 {
      expected.append("port \(value % 2 == 0 ? "600" : "601") 1 \(value)")
      expected.append("memory e000000\(String(value % 4 * 4, radix: 16)) 4 \(100 + value)")
    }
    #expect(seen == expected)
    #expect(count == 40)
    #expect(ring.drain { _, _, _ in } == 0)
  }

  @Test("writes to a removed zone exit again")
  func uncoalesced() throws {
    let bare = try BareMachine(BareMachine.out(0x600, 1) + BareMachine.out(0x600, 2))
    let place = VirtualMachine.Place(isPort: true, address: 0x600, size: 1)
    guard bare.system.check(.coalescedPIO) > 0 else { return }
    try bare.machine.setCoalesced(place, added: true)
    try bare.machine.setCoalesced(place, added: false)
    #expect(try bare.nextExit() == "out 0x600 = 1")
    #expect(try bare.nextExit() == "out 0x600 = 2")
  }

  @Test("an ioeventfd takes only the writes that match")
  func ioeventfd() throws {
    let bare = try BareMachine(
      BareMachine.out(0x610, 7) + BareMachine.out(0x610, 6) + BareMachine.store(0xE000_1000, 5)
        + BareMachine.store(0xE000_1004, 5) + BareMachine.out(0xF4, 0))
    let port = try EventDescriptor()
    let memory = try EventDescriptor()
    try bare.machine.setIoeventfd(port, at: .init(isPort: true, address: 0x610, size: 1), match: 7, added: true)
    try bare.machine.setIoeventfd(memory, at: .init(isPort: false, address: 0xE000_1000, size: 4), added: true)
    #expect(try bare.nextExit() == "out 0x610 = 6")
    #expect(port.drain() && !port.drain())
    #expect(try bare.nextExit() == "store 0xe0001004 = 5")
    #expect(memory.drain() && !memory.drain())
    #expect(try bare.nextExit() == "out 0xf4 = 0")
  }

  @Test("a removed doorbell exits again, and a missing one cannot be removed")
  func ioeventfdRemoved() throws {
    let bare = try BareMachine(BareMachine.out(0x610, 1))
    let event = try EventDescriptor()
    let place = VirtualMachine.Place(isPort: true, address: 0x610, size: 1)
    try bare.machine.setIoeventfd(event, at: place, added: true)
    try bare.machine.setIoeventfd(event, at: place, added: false)
    #expect(throws: Failure.self) { try bare.machine.setIoeventfd(event, at: place, added: false) }
    #expect(try bare.nextExit() == "out 0x610 = 1")
    #expect(!event.drain())
  }

  @Test("GSIs for messages start after the IOAPIC's pins, are distinct, and are reused once released")
  func routing() throws {
    let bare = try BareMachine([])
    let routing = bare.machine.routing
    let first = try #require(routing.allocateGSI())
    let second = try #require(routing.allocateGSI())
    #expect((first, second) == (24, 25))
    try routing.setMessage(first, address: 0xFEE0_0000, data: 0x41)
    try routing.setMessage(second, address: 0xFEE0_1000, data: 0x42)
    try routing.setMessage(first, address: 0xFEE0_0000, data: 0x43)
    let changes = routing.changes
    try routing.setMessage(first, address: 0xFEE0_0000, data: 0x43)
    #expect(routing.changes == changes, "the kernel gets only changes")
    try routing.release(first)
    #expect(routing.allocateGSI() == first)
    #expect(routing.allocateGSI() == 26)
  }

  @Test("a route that KVM refuses is not kept: it is refused again, and others are still accepted")
  func routingRefused() throws {
    let bare = try BareMachine([])
    let routing = bare.machine.routing
    // KVM_MAX_IRQ_ROUTES is 4096.
    for _ in 0..<2 {
      #expect(throws: Failure.self) { try routing.setMessage(4096, address: 0xFEE0_0000, data: 0x41) }
    }
    let gsi = try #require(routing.allocateGSI())
    try routing.setMessage(gsi, address: 0xFEE0_0000, data: 0x42)
  }

  @Test("GSIs run out instead of growing without bound")
  func routingEnds() throws {
    let bare = try BareMachine([])
    let routing = bare.machine.routing
    var count = 0
    while routing.allocateGSI() != nil, count < 10_000 { count += 1 }
    #expect(count == 3976)
  }

  @Test("an irqfd binds once, with or without resampling, and can be removed")
  func irqfd() throws {
    let machine = try BareMachine([]).machine
    let event = try EventDescriptor()
    try machine.addIrqfd(event, gsi: 11, resample: try EventDescriptor())
    #expect(throws: Failure.self) { try machine.addIrqfd(event, gsi: 11) }
    try machine.removeIrqfd(event, gsi: 11)
    let gsi = try #require(machine.routing.allocateGSI())
    try machine.routing.setMessage(gsi, address: 0xFEE0_0000, data: 0x41)
    try machine.addIrqfd(event, gsi: gsi)
    try machine.removeIrqfd(event, gsi: gsi)
  }

  @Test("KVM's own statistics have names, and their `exits` rises with each exit")
  func statistics() throws {
    let bare = try BareMachine((0..<50).flatMap { _ in BareMachine.out(0x600, 1) })
    guard bare.system.check(.statisticsDescriptor) > 0 else { return }
    let statistics = try #require(bare.vCPU.statistics())
    #expect(statistics.names.contains("exits") && statistics.names.contains("halt_exits"))
    #expect(statistics.names == statistics.names.sorted())
    let before = try #require(statistics["exits"])
    for _ in 0..<50 { #expect(try bare.nextExit() == "out 0x600 = 1") }
    #expect(try #require(statistics["exits"]) >= before + 50)
    #expect(statistics["no such counter"] == nil)
  }

  @Test("a kick before the guest runs is not lost")
  func kick() throws {
    let bare = try BareMachine(BareMachine.out(0x600, 1))
    bare.vCPU.kick()
    guard case .interrupted = try bare.vCPU.runOnce() else {
      Issue.record("the kick was lost")
      return
    }
    bare.vCPU.clearKick()
    #expect(try bare.nextExit() == "out 0x600 = 1")
  }

  @Test("rep outs of any count delivers each value once")
  func stringOut() throws {
    // mov esi, 0x1100; mov ecx, 4; mov dx, 0x620; cld; rep outsb
    let code: [UInt8] = [0xBE, 0, 0x11, 0, 0, 0xB9, 4, 0, 0, 0, 0x66, 0xBA, 0x20, 0x06, 0xFC, 0xF3, 0x6E]
    let bare = try BareMachine(code + [UInt8](repeating: 0x90, count: 0x100 - code.count) + [1, 2, 3, 4])
    var values: [UInt8] = []
    while values.count < 4 {
      guard case .portIO(let port, let width, true, let data) = try bare.vCPU.runOnce() else { continue }
      #expect(port == 0x620 && width == 1)
      values += data
    }
    #expect(values == [1, 2, 3, 4])
  }
}
