import Backends
import GuestMemory
import Registers

/// The storage of a drive, its one request, and its sector buffer.
///
/// While the channel's command is running or abandoned, the loop owns the request and the bytes of the buffer.
/// Otherwise the holder of the controller's lock may use them.
// Unchecked: the channel's phase says whether the loop or the holder of the controller's lock may use it.
final class ATAMedium: @unchecked Sendable {
  /// Size in bytes of the buffer that PIO reads ahead into. Most DRQ blocks then need neither the loop nor the storage.
  static let bufferSize = 64 << 10

  let storage: any Storage
  /// The request's client is the controller: it stays alive, and so does the buffer, while the storage has the request.
  let request = StorageRequest()
  let buffer: UnsafeMutableRawBufferPointer

  init(_ storage: any Storage) {
    self.storage = storage
    buffer = .allocate(byteCount: Self.bufferSize, alignment: 4096)
    for index in buffer.indices { buffer[index] = 0 }
  }

  deinit { buffer.deallocate() }
}

/// One disk of a channel: identity, settings, registers, and position in the sector buffer.
struct ATADrive {
  /// Power mode, with the values that CHECK POWER MODE returns (ATA/ATAPI-6, 8.7).
  enum Power: UInt8 {
    case standby = 0x00
    case idle = 0x80
    case active = 0xFF
    /// The drive ignores commands, except EXECUTE DEVICE DIAGNOSTIC, until a reset.
    case sleep = 0x01
  }

  static let idleStatus = ATAStatus.ready | ATAStatus.seekComplete
  static let busyStatus = idleStatus | ATAStatus.busy
  static let dataStatus = idleStatus | ATAStatus.dataRequest

  let medium: ATAMedium
  let model: String
  let serial: String
  let defaultGeometry: ATAGeometry
  var geometry: ATAGeometry
  /// Sectors in one block of READ and WRITE MULTIPLE; 0 before SET MULTIPLE MODE.
  var multiple = 0
  private(set) var transferMode = ATATransferMode.pioDefault
  var isWriteCacheEnabled: Bool
  var isLookAheadEnabled = true
  /// SET FEATURES 0x66: a software reset keeps the settings.
  var keepsSettings = false
  var power = Power.active

  var taskFile = ATATaskFile()
  var status = ATADrive.idleStatus
  var error = ATAError.diagnosticPassed
  /// The drive requests an interrupt. It drives INTRQ only while it is selected.
  var interruptPending = false

  /// Offset in the sector buffer of the next byte of the data register.
  var cursor = 0
  /// End of the DRQ block.
  var blockEnd = 0
  /// End of the data that was read ahead.
  var filled = 0

  init(_ medium: ATAMedium, model: String, serial: String) {
    self.medium = medium
    self.model = model
    self.serial = serial
    defaultGeometry = .standard(sectorCount: medium.storage.sectorCount)
    geometry = defaultGeometry
    isWriteCacheEnabled = medium.storage.hasVolatileCache
    taskFile.setSignature()
  }

  /// A software reset (ATA/ATAPI-6, 9.2).
  mutating func reset() {
    showDiagnosis()
    power = .active
    cursor = 0
    blockEnd = 0
    filled = 0
    guard !keepsSettings else { return }
    multiple = 0
    isWriteCacheEnabled = medium.storage.hasVolatileCache
    isLookAheadEnabled = true
  }

  /// The end of a reset or a diagnostic: signature and diagnostic code (ATA/ATAPI-6, 8.11).
  mutating func showDiagnosis() {
    taskFile.setSignature()
    status = Self.idleStatus
    error = ATAError.diagnosticPassed
  }

  /// Number of the `sectors` from `lba` on that exist on the disk.
  func available(_ lba: UInt64, _ sectors: Int) -> Int {
    let count = medium.storage.sectorCount
    guard lba < count else { return 0 }
    return Int(min(UInt64(sectors), count - lba))
  }

  /// SET FEATURES 0x03; false if the drive does not support the mode.
  mutating func setTransferMode(_ mode: UInt8) -> Bool {
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
