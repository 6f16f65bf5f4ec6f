import CGuest

/// `program=access device=e1000|virtio-net operation=read|kick|coalesced`: repeats one access to a NIC, so that the host
/// learns its cost. The access has no effect on the device.
///
/// - `read` reads a status register, which exits to user space.
/// - `kick` rings the doorbell of an empty virtqueue, which signals an ioeventfd in the kernel.
/// - `coalesced` writes 0 to the e1000's empty multicast table, which KVM holds in its ring.
func access(_ arguments: CommandLine) {
  guard let device = arguments["device"] else { fail("no device= on the command line", 0, .usage) }
  guard let operation = arguments["operation"] else { fail("no operation= on the command line", 0, .usage) }
  let sampling = Sampling(arguments)
  if device.equals("e1000") {
    let driver = E1000Driver(index: 0, mode: .poll, style: .lean, frameBytes: 60)
    if operation.equals("read") { return sampling.repeatAccess { driver.readStatus() } }
    if operation.equals("coalesced") { return sampling.repeatAccess { driver.clearMulticastEntry() } }
    fail("operation= of an e1000 must be read or coalesced", 0, .usage)
  } else if device.equals("virtio-net") {
    let driver = VirtioNetDriver(index: 0, mode: .poll, frameBytes: 60)
    if operation.equals("read") { return sampling.repeatAccess { driver.readStatus() } }
    if operation.equals("kick") { return sampling.repeatAccess { driver.kickEmptyQueue() } }
    fail("operation= of a virtio-net must be read or kick", 0, .usage)
  } else {
    fail("device= must be e1000 or virtio-net", 0, .usage)
  }
}

extension Sampling {
  /// Repeats `body` for the length of each sample.
  fileprivate func repeatAccess(_ body: () -> Void) {
    run { _, deadline in
      var work = Work()
      // A look at the clock takes tens of nanoseconds, so several accesses share one.
      while clock.now < deadline {
        for _ in 0..<16 { body() }
        work.operations += 16
      }
      return work
    }
  }
}
