import Bus
import EventLoop
import Failures
import KVM
import Threads

/// An input of the interrupt controllers. Each change of its level is one ioctl.
final class GSILine: InterruptLine {
  private let machine: VirtualMachine
  private let refusals: KVMRefusals
  private let gsi: UInt32
  private let level = Guarded(.gsi, false)

  init(machine: VirtualMachine, refusals: KVMRefusals, gsi: UInt32) {
    self.machine = machine
    self.refusals = refusals
    self.gsi = gsi
  }

  func set(asserted: Bool) {
    level.withLock { level in
      guard level != asserted else { return }
      level = asserted
      refusals.attempt { () throws(Failure) in try machine.setInterruptLine(gsi, asserted: asserted) }
    }
  }
}

/// One PIRQ: a level-triggered line that PIIX3 routes to a GSI, by an irqfd with resampling or by ioctl.
///
/// With an irqfd, KVM lowers the line at the guest's EOI and signals `resample`. The line is raised again if a device
/// still asserts it.
// Unchecked: `watch` is set once, by `init`, and cleared once, by `detach`.
final class PIRQLine: InterruptLine, @unchecked Sendable {
  private struct State {
    var asserted = false
    var gsi: UInt32?
    /// This PIRQ's input to the GSI's line, if ioctls drive it.
    var output: (any InterruptLine)?
  }
  private let machine: VirtualMachine
  private let refusals: KVMRefusals
  private let usesIrqfd: Bool
  private let event: EventDescriptor
  private let resample: EventDescriptor
  private let state = Guarded(.pirq, State())
  /// Held while KVM changes a route, which is slow. The loop never takes this lock.
  private let routing = Guarded(.pinRouting, ())
  private let bus: Bus
  private let loop: EventLoop
  private var watch: EventLoop.WatchKey?

  init(
    machine: VirtualMachine, refusals: KVMRefusals, bus: Bus, loop: EventLoop, usesIrqfd: Bool
  ) throws(Failure) {
    self.machine = machine
    self.refusals = refusals
    self.bus = bus
    self.usesIrqfd = usesIrqfd
    self.loop = loop
    event = try EventDescriptor()
    resample = try EventDescriptor()
    watch = try loop.watch(resample) { [weak self] in self?.resampled() }
  }

  /// Stops watching the guest's EOIs, and disconnects the line.
  func detach() {
    if let watch { loop.remove(watch) }
    watch = nil
    route(to: nil, output: nil)
  }

  /// Connects the line to a GSI, or to nothing. `output` drives it if there is no irqfd.
  func route(to gsi: UInt32?, output: (any InterruptLine)?) {
    routing.withLock { _ in
      let (old, oldOutput) = state.withLock { ($0.gsi, $0.output) }
      guard old != gsi else { return }
      // The line is disconnected until the new route is ready.
      state.withLock { state in
        state.gsi = nil
        state.output = nil
      }
      oldOutput?.set(asserted: false)
      if let old, oldOutput == nil {
        refusals.attempt { () throws(Failure) in try machine.removeIrqfd(event, gsi: old) }
      }
      guard let gsi else { return }
      let hasIrqfd =
        usesIrqfd
        && refusals.attempt { () throws(Failure) in
          try machine.addIrqfd(event, gsi: gsi, resample: resample)
        } != nil
      state.withLock { state in
        state.gsi = gsi
        state.output = hasIrqfd ? nil : output
        if state.asserted { drive(state) }
      }
    }
  }

  func set(asserted: Bool) {
    state.withLock { state in
      guard state.asserted != asserted else { return }
      state.asserted = asserted
      drive(state)
    }
  }

  private func drive(_ state: State) {
    if let output = state.output {
      output.set(asserted: state.asserted)
    } else if state.asserted, state.gsi != nil {
      event.signal()
    }
  }

  private func resampled() {
    guard state.withLock({ $0.asserted }) else { return }
    // The guest may have masked the device with a write that KVM still holds.
    bus.applyHeldWrites()
    state.withLock { state in if state.asserted { drive(state) } }
  }
}

/// Delivers one function's MSI-X messages: through an irqfd and a route for each vector, or by ioctl if irqfds are off.
final class KVMMessageRouter: MessageRouter, Sendable {
  private struct Vector {
    var message: MSIXMessage?
    var gsi: UInt32?
    var event: EventDescriptor?
  }
  private let machine: VirtualMachine
  private let refusals: KVMRefusals
  private let usesIrqfd: Bool
  private let vectors: Guarded<[Vector]>

  init(machine: VirtualMachine, refusals: KVMRefusals, vectorCount: Int, usesIrqfd: Bool) {
    self.machine = machine
    self.refusals = refusals
    self.usesIrqfd = usesIrqfd
    vectors = Guarded(.leaf, Array(repeating: Vector(), count: vectorCount))
  }

  /// Sets a vector's message. It calls KVM without holding the lock, because the loop would wait for it.
  func route(vector: Int, message: MSIXMessage?) {
    let known = vectors.withLock { vectors -> UInt32?? in
      guard vectors.indices.contains(vector) else { return nil }
      vectors[vector].message = message
      return .some(vectors[vector].gsi)
    }
    // A masked vector keeps its route: nothing signals it, and the guest is likely to unmask it.
    guard let known, let message, usesIrqfd else { return }
    if let gsi = known {
      refusals.attempt { () throws(Failure) in
        try machine.routing.setMessage(gsi, address: message.address, data: message.data)
      }
    } else if let (gsi, event) = refusals.attempt({ () throws(Failure) in try bind(message) }) {
      vectors.withLock { vectors in
        vectors[vector].gsi = gsi
        vectors[vector].event = event
      }
    }
  }

  /// Creates an eventfd that sends `message`, and its GSI. If this fails, the vector's messages are sent by ioctl.
  private func bind(_ message: MSIXMessage) throws(Failure) -> (UInt32, EventDescriptor) {
    let event = try EventDescriptor()
    guard let gsi = machine.routing.allocateGSI() else {
      throw Failure("route an MSI-X message", cause: "all GSIs for messages are in use")
    }
    do {
      try machine.routing.setMessage(gsi, address: message.address, data: message.data)
      try machine.addIrqfd(event, gsi: gsi)
    } catch {
      try? machine.routing.release(gsi)
      throw error
    }
    return (gsi, event)
  }

  func signal(vector: Int) {
    vectors.withLock { vectors in
      guard vectors.indices.contains(vector) else { return }
      if let event = vectors[vector].event {
        event.signal()
      } else if let message = vectors[vector].message {
        refusals.attempt { () throws(Failure) in
          try machine.signalMSI(address: message.address, data: message.data)
        }
      }
    }
  }
}
