import Bus
import Failures
import GuestMemory
import KVM
import TestSupport
import Testing
import Threads

@testable import Machine

@Suite("KVM's refusals are counted", .needsKVM)
struct KVMRefusalTests {
  private final class Target: BusTarget {
    func read(_ access: BusAccess) -> UInt64 { 0 }
    func write(_ access: BusAccess, _ value: UInt64) {}
  }

  private func range(width: Int) throws -> BusRange {
    let doorbell = Acceleration.doorbell(offset: 0, width: width, match: nil, event: try EventDescriptor())
    return BusRange("device.bar0", .memory, at: 0xE000_0000, size: 4096, target: Target(), accelerations: [doorbell])
  }

  @Test("a doorbell of 3 bytes counts as one refusal; removing its range adds none")
  func doorbell() throws {
    let refusals = KVMRefusals()
    let bus = Bus()
    let machine = try VirtualMachine(system: try System(), memory: try GuestMemory(size: 2 << 20))
    let binding = KVMBinding(machine: machine, refusals: refusals, bus: bus, ring: nil, disabled: [])
    bus.observe(binding)
    let good = try range(width: 4)
    bus.map(good)
    bus.unmap(good)
    #expect(refusals.first == nil)
    let bad = try range(width: 3)
    bus.map(bad)
    bus.unmap(bad)
    #expect(refusals.count == 1)
    #expect(refusals.first?.action == "bind an eventfd to writes at 0xe0000000")
    #expect(refusals.counters[.kvmRefusals] == 1)
  }

  @Test("this host's KVM accepts every binding that a machine uses")
  func trial() throws {
    let results = try KVMTrial.run(on: try System())
    #expect(results.count == 6)
    for result in results { #expect(result.refusal == nil, "\(result.name)") }
  }
}
