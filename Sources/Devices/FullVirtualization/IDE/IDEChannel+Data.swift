import Counters
import Registers

/// The data register: PIO in blocks of one sector, or of as many as SET MULTIPLE MODE says (ATA/ATAPI-6, 9.5 and 9.6).
extension IDEChannel {
  private var dataDrive: ATADrive? {
    guard phase == .data, let drive = activeDrive, drive === selected else { return nil }
    return drive
  }

  /// Fills `buffer` from the DRQ block, and from those that follow without a wait; ones where there is no data.
  func readData(into buffer: UnsafeMutableRawBufferPointer) {
    var done = 0
    while done < buffer.count, transfer?.kind == .pioIn, let drive = dataDrive {
      let count = min(buffer.count - done, drive.blockEnd - drive.cursor)
      guard count > 0 else { break }
      UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: drive.buffer[drive.cursor..<drive.cursor + count]))
      counters.add(.bytesCopied, count)
      done += count
      drive.cursor += count
      if drive.cursor == drive.blockEnd { readBlockTaken(drive) }
    }
    // Nobody drives the data lines.
    for index in done..<buffer.count { buffer[index] = 0xFF }
  }

  /// Takes `buffer` into the DRQ block; what is beyond it is lost.
  func writeData(from buffer: UnsafeRawBufferPointer) {
    guard transfer?.kind == .pioOut, let drive = dataDrive else { return }
    let count = min(buffer.count, drive.blockEnd - drive.cursor)
    guard count > 0 else { return }
    UnsafeMutableRawBufferPointer(rebasing: drive.buffer[drive.cursor..<drive.cursor + count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
    counters.add(.bytesCopied, count)
    drive.cursor += count
    guard drive.cursor == drive.blockEnd else { return }
    drive.status = ATADrive.idleStatus | ATAStatus.busy
    queue()
  }

  /// Asks the loop for the next sectors.
  func queueRead() {
    activeDrive?.status = ATADrive.idleStatus | ATAStatus.busy
    queue()
  }

  /// Shows the next block of what was read, and interrupts.
  func presentReadBlock() {
    guard let drive = activeDrive, let block = transfer?.block else { return }
    drive.blockEnd = min(drive.cursor + 512 * block, drive.filled)
    phase = .data
    drive.status = ATADrive.idleStatus | ATAStatus.dataRequest
    setInterrupt(true, of: drive)
  }

  /// The host took a whole block: show the next, read more, or end. There is no interrupt after the last block.
  private func readBlockTaken(_ drive: ATADrive) {
    guard var transfer else { return }
    let taken = min(transfer.block, transfer.sectors)
    transfer.lba &+= UInt64(taken)
    transfer.sectors -= taken
    self.transfer = transfer
    if transfer.sectors <= 0 { return transfer.missing > 0 ? failAtMissing(transfer) : finish(interrupts: false) }
    if drive.cursor < drive.filled { presentReadBlock() } else { queueRead() }
  }

  /// Asks the host for the next block of a write.
  func presentWriteBlock() {
    guard let drive = activeDrive, let transfer else { return }
    drive.cursor = 0
    drive.blockEnd = 512 * min(transfer.block, transfer.sectors)
    phase = .data
    drive.status = ATADrive.idleStatus | ATAStatus.dataRequest
  }
}
