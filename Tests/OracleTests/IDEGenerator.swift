import TestSupport

/// Generates scripts from a seed: a driver reads and writes a disk in all ways that the PIIX3 supports.
enum IDEGenerator {
  /// The sectors that scripts use: those with a pattern, and as many without.
  private static let sectors: UInt32 = 128

  static func script(seed: UInt64, operations: [Int]) -> Script {
    var script = Script("IDE: generated, seed \(seed)")
    ATA.command(&script, 0xC6, count: 4)
    script.settle()
    script.inb(0x1F7)
    for operation in operations {
      var random = Oracle.numbers(seed: seed, operation: operation)
      step(&script, &random)
    }
    ATA.command(&script, 0xE7)
    script.settle()
    look(&script)
    script.disk(0, 0, sector: 0, count: Int(sectors) * 512)
    return script
  }

  /// Reads the state after a command. Bit 4 of the status after an abort is a known difference.
  private static func look(_ script: inout Script) {
    script.may(.ideSeekComplete, bits: 0x10) { IDEScripts.state(&$0) }
  }

  private static func step(_ script: inout Script, _ random: inout RandomNumbers) {
    let count = UInt8.random(in: 1...8, using: &random)
    let lba = UInt32.random(in: 0..<sectors - 8, using: &random)
    switch Int.random(in: 0..<12, using: &random) {
    case 0, 1: readPIO(&script, [0x20, 0x21, 0xC4, 0x24, 0x29].randomElement(using: &random) ?? 0x20, lba, count)
    case 2, 3: writePIO(&script, [0x30, 0x31, 0xC5, 0x34, 0x39].randomElement(using: &random) ?? 0x30, lba, count)
    case 4, 5, 6: dma(&script, &random, lba, count)
    case 7:
      ATA.command(&script, 0xC6, count: [1, 2, 4, 8, 16, 3].randomElement(using: &random) ?? 1)
      script.settle()
      look(&script)
    case 8:
      // Commands that move nothing.
      let code = [0xE7, 0xEA, 0x40, 0x70, 0x10, 0x91].randomElement(using: &random) ?? 0xE7
      ATA.command(&script, UInt8(code), lba: lba, count: code == 0x91 ? 63 : count, device: code == 0x91 ? 0xAF : 0xE0)
      script.settle()
      look(&script)
    case 9:
      ATA.command(&script, 0xEF, count: [0x08, 0x0C, 0x22, 0x42].randomElement(using: &random) ?? 0x08, features: 0x03)
      script.settle()
      look(&script)
    case 10:
      // A reset ends the transfer. It also disables READ MULTIPLE.
      command(&script, 0x20, lba, count)
      script.settle()
      script.steps.append(.readWords(0x1F0, count: Int.random(in: 1...255, using: &random)))
      ATA.reset(&script)
      script.inb(0x1F7)
      ATA.command(&script, 0xC6, count: 4)
      script.settle()
      look(&script)
    default:
      script.outb(0x3F6, 0x02)
      command(&script, 0xE7, 0, 1)
      script.settle()
      look(&script)
      script.outb(0x3F6, 0x00)
    }
  }

  private static func command(_ script: inout Script, _ code: UInt8, _ lba: UInt32, _ count: UInt8) {
    if [0x24, 0x25, 0x29, 0x34, 0x35, 0x39].contains(code) {
      ATA.commandExt(&script, code, lba: UInt64(lba), count: UInt16(count))
    } else {
      ATA.command(&script, code, lba: lba, count: count)
    }
  }

  private static func readPIO(_ script: inout Script, _ code: UInt8, _ lba: UInt32, _ count: UInt8) {
    command(&script, code, lba, count)
    script.settle()
    look(&script)
    for _ in 0..<count {
      script.steps.append(.readWords(0x1F0, count: 256))
      script.settle()
    }
    look(&script)
  }

  private static func writePIO(_ script: inout Script, _ code: UInt8, _ lba: UInt32, _ count: UInt8) {
    command(&script, code, lba, count)
    script.settle()
    look(&script)
    for index in 0..<count {
      script.steps.append(.writeWords(0x1F0, ATA.sector(Int(lba) &+ Int(index))))
      script.settle()
    }
    look(&script)
  }

  private static func dma(_ script: inout Script, _ random: inout RandomNumbers, _ lba: UInt32, _ count: UInt8) {
    let reads = Bool.random(using: &random)
    let code: UInt8 = (reads ? [0xC8, 0xC9, 0x25] : [0xCA, 0xCB, 0x35]).randomElement(using: &random) ?? 0xC8
    // Consecutive regions of even sizes that do not cross 64 KiB.
    var regions: [(address: UInt32, count: UInt16)] = []
    var left = Int(count) * 512
    while left > 0 {
      let size = min(left, Int.random(in: 1...1024, using: &random) * 2)
      regions.append((0x20_0000 + UInt32(regions.count) * 0x1000, UInt16(size)))
      left -= size
    }
    // Sometimes the table is longer than the command, or shorter.
    switch Int.random(in: 0..<6, using: &random) {
    case 0: regions.append((0x30_0000, 512))
    case 1 where regions.count > 1: regions.removeLast()
    default: break
    }
    if !reads {
      for (index, region) in regions.enumerated() {
        let bytes = (0..<4).flatMap { ATA.sector(Int(lba) + 3 * index + $0) }
        script.store(UInt64(region.address), Array(bytes.prefix(Int(region.count))))
      }
    }
    IDEDMAScripts.layTable(&script, regions)
    script.outb(0xC402, 0x06)
    let direction: UInt8 = reads ? 0x08 : 0x00
    script.outb(0xC400, direction)
    let startsFirst = Bool.random(using: &random)
    if startsFirst { script.outb(0xC400, direction | 1) }
    command(&script, code, lba, count)
    if !startsFirst { script.outb(0xC400, direction | 1) }
    script.settle()
    script.inb(0xC402)
    look(&script)
    script.outb(0xC400, direction)
    script.settle()
    script.inb(0xC402)
    look(&script)
    for region in regions { script.load(UInt64(region.address), count: Int(region.count)) }
  }
}
