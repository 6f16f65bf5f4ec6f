import Bus
import EventLoop
import Failures
import Registers

/// The writes to one channel's BMIC that start nothing, taken by KVM without an exit.
///
/// A write without START only stops the engine or tells its direction, so each value has an eventfd that nobody waits for.
/// Every access that looks at the engine asks both first, and every access at all while a command runs, since a stop ends
/// it. A write with START always exits; what was written before it is older, and what is pending after it is newer.
///
/// Of both values written without a look between them, the direction is taken for the last: drivers that write without
/// reading stop with 0 and then set 8 for the next read. Those that read, as Linux, never have both pending.
struct QuietCommands {
  private let channel: Int
  private let fromMemory: EventDescriptor
  private let toMemory: EventDescriptor

  init(channel: Int) throws(Failure) {
    self.channel = channel
    fromMemory = try EventDescriptor()
    toMemory = try EventDescriptor()
  }

  var accelerations: [Acceleration] {
    let offset = UInt64(channel) * UInt64(BusMasterIDERegister.secondaryChannel)
    return [
      .doorbell(offset: offset, width: 1, match: 0, event: fromMemory),
      .doorbell(offset: offset, width: 1, match: UInt64(BusMasterIDECommand.writesMemory), event: toMemory),
    ]
  }

  /// The value that BMIC was given since the last time; nil for none.
  func take() -> UInt8? {
    let isFromMemory = fromMemory.drain()
    if toMemory.drain() { return BusMasterIDECommand.writesMemory }
    return isFromMemory ? 0 : nil
  }
}
