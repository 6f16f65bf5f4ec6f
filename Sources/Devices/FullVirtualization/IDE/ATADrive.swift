import Backends
import GuestMemory
import Registers

/// One disk of a channel: what it is, what it was set to, and its sector buffer.
///
/// Guarded by the controller's lock, but for the request and the buffer's bytes: those are the loop's while its channel
/// is `running` or `abandoned`.
final class ATADrive: @unchecked Sendable {
  /// What CHECK POWER MODE answers (ATA/ATAPI-6, 8.7).
  enum Power: UInt8 {
    case standby = 0x00
    case idle = 0x80
    case active = 0xFF
    /// Only a reset wakes it; it answers no command.
    case sleep = 0x01
  }

  /// Bytes read ahead for PIO, so that most DRQ blocks need neither the loop nor the storage.
  static let bufferSize = 64 << 10
  static let idleStatus = ATAStatus.ready | ATAStatus.seekComplete

  let storage: any Storage
  let model: String
  let serial: String
  let defaultGeometry: ATAGeometry
  var geometry: ATAGeometry
  var multiple = 0
  var transferMode = ATATransferMode.pioDefault
  var isWriteCacheEnabled: Bool
  var isLookAheadEnabled = true
  /// SET FEATURES 0x66: a software reset leaves settings alone.
  var keepsSettings = false
  var power = Power.active

  var taskFile = ATATaskFile()
  var status = ATADrive.idleStatus
  var error = ATAError.diagnosticPassed
  /// The drive wants attention; INTRQ shows it while the drive is selected.
  var interruptPending = false

  /// The drive's one request. Its client keeps the controller, and with it the buffer, alive while the storage has it.
  let request = StorageRequest()
  /// How the PRD table of the request stands to it; the loop's.
  var tableSize = PRDTableSize.equal

  /// The sector buffer: `cursor` is the next byte of the data register, `blockEnd` ends the DRQ block, `filled` what is
  /// read ahead.
  let buffer: UnsafeMutableRawBufferPointer
  var cursor = 0
  var blockEnd = 0
  var filled = 0

  init(storage: any Storage, model: String, serial: String) {
    self.storage = storage
    self.model = model
    self.serial = serial
    defaultGeometry = .standard(sectorCount: storage.sectorCount)
    geometry = defaultGeometry
    isWriteCacheEnabled = storage.hasVolatileCache
    taskFile.setSignature()
    buffer = .allocate(byteCount: Self.bufferSize, alignment: 4096)
    for index in buffer.indices { buffer[index] = 0 }
  }

  deinit { buffer.deallocate() }

  /// What a software reset does to it (ATA/ATAPI-6, 9.2).
  func reset() {
    taskFile.setSignature()
    status = Self.idleStatus
    error = ATAError.diagnosticPassed
    power = .active
    cursor = 0
    blockEnd = 0
    filled = 0
    guard !keepsSettings else { return }
    multiple = 0
    isWriteCacheEnabled = storage.hasVolatileCache
    isLookAheadEnabled = true
  }

  /// How many of the `sectors` from `lba` on the disk has.
  func available(_ lba: UInt64, _ sectors: Int) -> Int {
    guard lba < storage.sectorCount else { return 0 }
    return Int(min(UInt64(sectors), storage.sectorCount - lba))
  }

  /// SET FEATURES 0x03; false when the drive has no such mode.
  func setTransferMode(_ mode: UInt8) -> Bool {
    switch mode & 0xF8 {
    case ATATransferMode.pioDefault: guard mode & 7 <= 1 else { return false }
    case ATATransferMode.pioFlowControl: guard mode & 7 <= 4 else { return false }
    case ATATransferMode.multiwordDMA, ATATransferMode.ultraDMA: guard mode & 7 <= 2 else { return false }
    default: return false
    }
    transferMode = mode
    return true
  }
}
