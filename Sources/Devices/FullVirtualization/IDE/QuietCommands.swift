import Bus
import EventLoop
import Failures
import Registers

/// The writes to one channel's BMIC that start nothing, taken by KVM without an exit.
///
/// A write without START only stops the engine or tells its direction, and whoever makes one looks at the engine again
/// before anything can come of it: so each value has an eventfd that nobody waits for, and every access that looks at
/// the engine asks both first. A write with START always exits; what was written before it is older, and what is pending
/// after it is newer. Of two directions written without a look between them either may be the last, which nobody can see:
/// START brings its own.
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
    let isToMemory = toMemory.drain()
    if fromMemory.drain() { return 0 }
    return isToMemory ? BusMasterIDECommand.writesMemory : nil
  }
}
