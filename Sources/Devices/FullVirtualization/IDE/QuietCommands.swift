import Bus
import Failures
import Registers
import Threads

/// The writes to one channel's BMIC that start nothing, taken by KVM without an exit.
///
/// A write without START only stops the engine or sets its direction, so each value has an eventfd that nobody waits for.
/// Every access that looks at the engine asks both first, and every access at all while a command runs, since a stop ends
/// it. A write with START always exits; what was written before it is older, and what is pending after it is newer.
///
/// Two writes without a look between them are told apart by the order of their eventfds. Of three or more, as 8, 0, 8, the
/// value that came first is taken to be the older one.
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

  /// The value that BMIC was given since the last time; nil for none.
  func take() -> UInt8? { written.takeLast().map { $0 == 1 ? BusMasterIDECommand.writesMemory : 0 } }
}
