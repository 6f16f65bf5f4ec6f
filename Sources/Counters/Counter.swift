/// The events that a meter counts. Every case is summed, printed and reported everywhere.
public enum Counter: Int, CaseIterable, Sendable {
  // Returns from KVM_RUN, by reason.
  case exitsPortIO, exitsMMIO, exitsHalt, exitsInterrupted, exitsOther
  /// Writes that KVM held in its coalesced ring instead of an exit.
  case coalescedWrites

  /// Doorbells that a device served: kicks, tail writes, commands.
  case doorbells
  /// Times that a page of registers became RAM for the guest.
  case pagesShown
  /// Interrupts that a device raised (edges of a line, or messages).
  case interrupts
  /// Bytes that user space copied between buffers on a data path.
  case bytesCopied
  /// Requests that had to go through a bounce buffer.
  case bounces

  case diskReads, diskWrites, diskFlushes, diskBytes, diskErrors
  /// Requests to the host to make a disk's data durable (fdsync).
  case hostSyncs
  case framesSent, framesReceived, bytesSent, bytesReceived
  /// Segments made from large sends, and checksums completed, in user space.
  case segmentsCut, checksumsCompleted

  // Dropped frames, by place.
  case dropsNoReceiveBuffer, dropsPortQueueFull, dropsFiltered, dropsMalformed, dropsTap, dropsRateLimit
  /// Changes of a NIC's link by the host, up or down.
  case linkChanges

  // Errors of a guest. Docs/HostileGuests.md describes each one's effect on the guest.
  case badAddress, badDescriptor, badChain, badRequest, badIndex
  /// Accesses to addresses that no device claims.
  case unclaimedAccesses

  /// Bindings, routes and interrupts that KVM refused. The guest continued without them.
  case kvmRefusals
}

extension Counter {
  /// The name in reports.
  public var name: String { String(describing: self) }
}
