import GuestMemory
import Registers

/// The bus master registers of one channel (1994 specification, section 2).
struct BusMasterEngine {
  private(set) var command: UInt8 = 0
  var isActive = false
  /// A transfer that was stopped still moves data: ACTIVE stays set until the storage has let go of guest memory.
  var isStopping = false
  var hasError = false
  var hasInterrupt = false
  /// The table served a command since it was started, and serves no other until it is started again.
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

  /// What a write asks of the channel besides the register's new value.
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

/// How a PRD table's size stands to a command's.
enum PRDTableSize {
  case equal, longer, shorter
  /// The table or a region is not RAM, or the table does not end.
  case invalid
}

enum PRDTable {
  /// Descriptors in 64 KiB, the most a table may hold (1994 specification, 1.2).
  static let maximumDescriptors = 8192

  /// Gathers the first `count` bytes that the table at `address` describes.
  ///
  /// A table that crosses a 64 KiB boundary is read on all the same: the PIIX3 would wrap, no driver relies on it.
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
