import Bus
import Failures
import Registers
import Threads

/// Writes to one channel's BMIC without START, which KVM takes without an exit.
///
/// Such a write only stops the engine or sets its direction. Each of the two values has an ioeventfd that no thread
/// waits for. Every access that depends on the engine polls both first. While a command runs, every access polls them,
/// because a stop ends the command. A write with START always exits. It polls first, so earlier writes are applied
/// before it, and an eventfd that is signalled later is a newer write.
///
/// The order in which the eventfds were signalled tells which of two writes between polls is the last. If there were
/// three or more, such as 8, 0, 8, the value that was written first counts as the older one.
struct QuietCommands {
  private let channel: Int
  private let fromMemory: EventDescriptor
  private let toMemory: EventDescriptor
  private let written: OrderedEvents

  init(channel: Int) throws(Failure) {
    self.channel = channel
    fromMemory = try EventDescriptor()
    toMemory = try EventDescriptor()
    written = try OrderedEvents([fromMemory, toMemory])
  }

  var accelerations: [Acceleration] {
    let offset = UInt64(channel) * UInt64(BusMasterIDERegister.secondaryChannel)
    return [
      .doorbell(offset: offset, width: 1, match: 0, event: fromMemory),
      .doorbell(offset: offset, width: 1, match: UInt64(BusMasterIDECommand.writesMemory), event: toMemory),
    ]
  }

  /// The last value written to BMIC since the previous call; nil if there was none.
  func take() -> UInt8? { written.takeLast().map { $0 == 1 ? BusMasterIDECommand.writesMemory : 0 } }
}
