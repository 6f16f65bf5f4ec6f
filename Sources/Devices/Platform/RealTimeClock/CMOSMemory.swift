import GuestMemory
import Registers

/// CMOS memory as firmware leaves it: the size of RAM, a coprocessor, no floppy drive.
func makeCMOSMemory(memorySize: Int) -> [UInt8] {
  var bytes = [UInt8](repeating: 0, count: 128)
  func store(_ value: UInt64, _ count: Int, at index: Int) {
    let most = (1 << UInt64(8 * count)) - 1 as UInt64
    for byte in 0..<count {
      bytes[index + byte] = UInt8(truncatingIfNeeded: min(value, most) >> UInt64(8 * byte))
    }
  }
  let mebibyte: UInt64 = 1 << 20
  let size = UInt64(max(0, memorySize))
  let low = min(size, GuestMemory.holeStart)
  let extended = (max(low, mebibyte) - mebibyte) >> 10
  bytes[CMOSByte.floppyTypes] = 0
  bytes[CMOSByte.equipment] = 1 << 1
  store(min(low >> 10, 640), 2, at: CMOSByte.baseMemory)
  store(extended, 2, at: CMOSByte.extendedMemory)
  store(extended, 2, at: CMOSByte.foundMemory)
  store((max(low, 16 * mebibyte) - 16 * mebibyte) >> 16, 2, at: CMOSByte.highMemory)
  store((size - low) >> 16, 3, at: CMOSByte.veryHighMemory)
  let sum = bytes[0x10...0x2D].reduce(0 as UInt16) { $0 &+ UInt16($1) }
  bytes[CMOSByte.checksum] = UInt8(sum >> 8)
  bytes[CMOSByte.checksum + 1] = UInt8(truncatingIfNeeded: sum)
  return bytes
}
