/// What the one meter counts. A field is added here once and is then summed, printed and reported everywhere.
public enum Counter: Int, CaseIterable, Sendable {
  // Returns from KVM_RUN, by reason.
  case exitsPortIO, exitsMMIO, exitsHalt, exitsInterrupted, exitsOther
  /// Writes that KVM kept in its coalesced ring; they did not exit.
  case coalescedWrites

  /// Doorbells a device acted on: kicks, tail writes, commands.
  case doorbells
  /// Interrupts a device asked for (edges of a line, or messages).
  case interrupts
  /// Bytes that user space copied between buffers on a data path.
  case bytesCopied
  /// Requests that had to go through a bounce buffer.
  case bounces

  case diskReads, diskWrites, diskFlushes, diskBytes, diskErrors
  /// Times the host was asked to make a disk's data durable (fdsync).
  case hostSyncs
  case framesSent, framesReceived, bytesSent, bytesReceived
  /// Large sends cut into segments, and checksums completed, in user space.
  case segmentsCut, checksumsCompleted

  // Frames lost, by hop.
  case dropsNoReceiveBuffer, dropsPortQueueFull, dropsFiltered, dropsMalformed, dropsTap
  /// Times the host took a NIC's link down or brought it up.
  case linkChanges

  // What a guest did wrong; each names what the guest saw in Docs/HostileGuests.md.
  case badAddress, badDescriptor, badChain, badRequest, badIndex
  /// Accesses to addresses where nothing answers.
  case unclaimedAccesses

  /// Bindings, routes and interrupts that KVM refused; the guest went on without them.
  case kvmRefusals
}

extension Counter {
  /// The name in reports.
  public var name: String { String(describing: self) }
}
