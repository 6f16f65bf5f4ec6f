import Counters
import Registers

/// The data register: PIO in blocks of one sector, or of the number that SET MULTIPLE MODE set (ATA/ATAPI-6, 9.5, 9.6).
extension IDEChannel {
  /// The transfer whose DRQ block the host may access now.
  private func dataTransfer(_ kind: ATATransfer.Kind) -> ATATransfer? {
    guard case .active(let transfer, .data) = command, transfer.kind == kind, transfer.drive == selected else {
      return nil
    }
    return transfer
  }

  /// Fills `buffer` from the DRQ block, and from the next blocks if they were read ahead; bytes without data read 0xFF.
  mutating func readData(into buffer: UnsafeMutableRawBufferPointer) {
    var done = 0
    while done < buffer.count, let transfer = dataTransfer(.pioIn), let drive = drives[selected] {
      let count = min(buffer.count - done, drive.blockEnd - drive.cursor)
      guard count > 0 else { break }
      UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: drive.medium.buffer[drive.cursor..<drive.cursor + count]))
      counters.add(.bytesCopied, count)
      done += count
      drives[selected]?.cursor += count
      if drive.cursor + count == drive.blockEnd { readBlockTaken(transfer) }
    }
    // No drive drives the data lines.
    for index in done..<buffer.count { buffer[index] = 0xFF }
  }

  /// Copies `buffer` into the DRQ block, and drops bytes past its end.
  mutating func writeData(from buffer: UnsafeRawBufferPointer) {
    guard let transfer = dataTransfer(.pioOut), let drive = drives[selected] else { return }
    let count = min(buffer.count, drive.blockEnd - drive.cursor)
    guard count > 0 else { return }
    UnsafeMutableRawBufferPointer(rebasing: drive.medium.buffer[drive.cursor..<drive.cursor + count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
    counters.add(.bytesCopied, count)
    drives[selected]?.cursor += count
    if drive.cursor + count == drive.blockEnd { queue(transfer) }
  }

  /// Presents the next block of a read, and interrupts.
  mutating func presentReadBlock(_ transfer: ATATransfer) {
    guard let drive = drives[transfer.drive] else { return }
    drives[transfer.drive]?.blockEnd = min(drive.cursor + 512 * transfer.block, drive.filled)
    drives[transfer.drive]?.status = ATADrive.dataStatus
    command = .active(transfer, .data)
    setInterrupt(true, of: transfer.drive)
  }

  /// The host took a whole block: presents the next one, reads more, or ends the command. A successful read does not
  /// interrupt after its last block.
  private mutating func readBlockTaken(_ old: ATATransfer) {
    var transfer = old
    let taken = min(transfer.block, transfer.sectors)
    transfer.lba &+= UInt64(taken)
    transfer.sectors -= taken
    guard transfer.sectors > 0 else {
      return transfer.missing > 0 ? failAtMissing(transfer) : finish(transfer.drive, interrupts: false)
    }
    let hasMore = drives[transfer.drive].map { $0.cursor < $0.filled } ?? false
    if hasMore { presentReadBlock(transfer) } else { queue(transfer) }
  }

  /// Requests the next block of a write from the host.
  mutating func presentWriteBlock(_ transfer: ATATransfer) {
    drives[transfer.drive]?.cursor = 0
    drives[transfer.drive]?.blockEnd = 512 * min(transfer.block, transfer.sectors)
    drives[transfer.drive]?.status = ATADrive.dataStatus
    command = .active(transfer, .data)
  }
}
