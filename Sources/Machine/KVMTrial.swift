import EventLoop
import Failures
import GuestMemory
import KVM
import Threads

/// Tries each binding that a machine needs from KVM, on a machine that never runs.
///
/// A capability says only that KVM knows a binding, not that it works.
package enum KVMTrial {
  /// The name of a binding, and KVM's refusal; nil if KVM accepted it.
  package typealias Result = (name: String, refusal: Failure?)

  /// - Throws: `Failure` if the machine cannot be created.
  package static func run(on system: System) throws(Failure) -> [Result] {
    let machine = try VirtualMachine(system: system, memory: try GuestMemory(size: 2 << 20))
    let event = try EventDescriptor()
    let resample = try EventDescriptor()
    var results: [Result] = []
    func attempt(_ name: String, _ body: () throws(Failure) -> Void) {
      do {
        try body()
        results.append((name, nil))
      } catch {
        results.append((name, error))
      }
    }
    for isPort in [false, true] {
      let kind = isPort ? "a port" : "memory"
      let place = VirtualMachine.Place(isPort: isPort, address: isPort ? 0xC000 : 0xE000_0000, size: 4)
      attempt("an eventfd for writes to \(kind)") { () throws(Failure) in
        try machine.setIoeventfd(event, at: place, added: true)
      }
      attempt("coalesced writes to \(kind)") { () throws(Failure) in try machine.setCoalesced(place, added: true) }
    }
    attempt("an eventfd for an interrupt pin, with resampling") { () throws(Failure) in
      try machine.addIrqfd(event, gsi: 10, resample: resample)
    }
    attempt("an eventfd for a message") { () throws(Failure) in
      guard let gsi = machine.routing.allocateGSI() else { return }
      try machine.routing.setMessage(gsi, address: 0xFEE0_0000, data: 0x41)
      try machine.addIrqfd(try EventDescriptor(), gsi: gsi)
    }
    return results
  }
}
