import GuestMemory
import Registers

/// The bus master registers of one channel (1994 specification, section 2).
struct BusMasterEngine {
  private(set) var command: UInt8 = 0
  var isActive = false
  /// A stopped transfer still moves data. ACTIVE stays set until the storage no longer uses guest memory.
  var isStopping = false
  var hasError = false
  var hasInterrupt = false
  /// The engine has served a command since it was started. It must be started again before the next one.
  var isSpent = false
  private var capable: UInt8 = 0
  private(set) var table: UInt32 = 0

  var canStart: Bool { isActive && !isSpent }
  var writesMemory: Bool { command & BusMasterIDECommand.writesMemory != 0 }

  private var status: UInt8 {
    (isActive || isStopping ? BusMasterIDEStatus.active : 0) | (hasError ? BusMasterIDEStatus.error : 0)
      | (hasInterrupt ? BusMasterIDEStatus.interrupt : 0) | capable
  }

  /// One byte at `offset` of the channel's eight ports.
  func read(_ offset: UInt16) -> UInt8 {
    switch offset {
    case BusMasterIDERegister.command: return command
    case BusMasterIDERegister.status: return status
    case BusMasterIDERegister.descriptorTable..<BusMasterIDERegister.secondaryChannel:
      return UInt8(truncatingIfNeeded: table >> UInt32(8 * (offset - BusMasterIDERegister.descriptorTable)))
    default: return 0
    }
  }

  /// The effect of a write on the channel.
  enum Effect { case none, started, stopped }

  mutating func write(_ offset: UInt16, _ value: UInt8) -> Effect {
    switch offset {
    case BusMasterIDERegister.command:
      let before = command & BusMasterIDECommand.start
      command = value & (BusMasterIDECommand.start | BusMasterIDECommand.writesMemory)
      let after = command & BusMasterIDECommand.start
      if before == after { return .none }
      isActive = after != 0
      isSpent = false
      return isActive ? .started : .stopped
    case BusMasterIDERegister.status:
      capable = value & (BusMasterIDEStatus.drive0Capable | BusMasterIDEStatus.drive1Capable)
      if value & BusMasterIDEStatus.error != 0 { hasError = false }
      if value & BusMasterIDEStatus.interrupt != 0 { hasInterrupt = false }
    case BusMasterIDERegister.descriptorTable..<BusMasterIDERegister.secondaryChannel:
      let shift = UInt32(8 * (offset - BusMasterIDERegister.descriptorTable))
      table = (table & ~(0xFF << shift) | UInt32(value) << shift) & 0xFFFF_FFFC
    default: break
    }
    return .none
  }
}

/// The size of a PRD table compared with the size of its command.
enum PRDTableSize {
  case equal, longer, shorter
  /// The table or one of its regions is not RAM, or the table has no end.
  case invalid
}

enum PRDTable {
  /// Maximum number of descriptors in a table, which is 64 KiB (1994 specification, 1.2).
  static let maximumDescriptors = 8192

  /// Collects the first `count` bytes that the table at `address` describes.
  ///
  /// A table may cross a 64 KiB boundary. The PIIX3 would wrap there, but no driver relies on that.
  static func collect(
    _ memory: GuestMemory, table address: UInt32, count: Int, into pieces: inout ScatterList
  ) -> PRDTableSize {
    pieces.removeAll()
    var entry = UInt64(address)
    for _ in 0..<maximumDescriptors {
      guard let descriptor = memory.load(UInt64.self, at: entry) else { return .invalid }
      entry &+= UInt64(BusMasterIDEDescriptor.size)
      let flags = UInt32(truncatingIfNeeded: descriptor >> 32)
      let region = UInt64(UInt32(truncatingIfNeeded: descriptor) & BusMasterIDEDescriptor.addressMask)
      let field = Int(flags & BusMasterIDEDescriptor.countMask)
      let size = field == 0 ? 65_536 : field
      let isLast = flags & BusMasterIDEDescriptor.endOfTable != 0
      let wanted = min(size, count - pieces.count)
      guard let slice = memory.slice(at: region, count: wanted) else { return .invalid }
      pieces.append(slice)
      if pieces.count == count { return isLast && wanted == size ? .equal : .longer }
      if isLast { return .shorter }
    }
    return .invalid
  }
}
