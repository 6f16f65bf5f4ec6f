/// Each of the 256 ATA opcodes (ATA/ATAPI-6, clause 8): status, error and INTRQ afterwards.
enum IDEOpcodeScripts {
  /// 16 opcodes per script, since 256 tests would fill the log.
  static let all: [Script] = (0..<16).map { high in
    var script = Script("IDE: opcodes \(String(high, radix: 16))0h to \(String(high, radix: 16))Fh")
    for low in 0..<16 { opcode(&script, UInt8(high << 4 | low)) }
    return script
  }

  /// The opcodes that both disks implement.
  private static let implemented: Set<UInt8> = [
    0x10, 0x20, 0x21, 0x24, 0x25, 0x29, 0x30, 0x31, 0x34, 0x35, 0x39, 0x40, 0x41, 0x42, 0x70, 0x90, 0x91, 0xC4, 0xC5,
    0xC6, 0xC8, 0xC9, 0xCA, 0xCB, 0xE0, 0xE1, 0xE2, 0xE3, 0xE5, 0xE6, 0xE7, 0xEA, 0xEC, 0xEF,
  ]

  private static func opcode(_ script: inout Script, _ code: UInt8) {
    // The reset also wakes a sleeping drive.
    ATA.reset(&script)
    script.inb(0x1F7)
    if [0x24, 0x25, 0x29, 0x34, 0x35, 0x39, 0x42].contains(code) {
      ATA.commandExt(&script, code, lba: 0x203, count: 1)
    } else {
      ATA.command(&script, code, lba: 0x203)
    }
    script.settle()
    switch code {
    case 0x27, 0xF5, 0xF8, 0x98: IDEScripts.state(&script, .ideOldCommands, status: 0x01, error: 0x04)
    case 0x94...0x97, 0x99: IDEScripts.state(&script, .ideOldCommands, status: 0x11, error: 0x04)
    case 0x3C: IDEScripts.state(&script, .ideOldCommands, status: 0x09, error: 0x04, level: true)
    case 0x29, 0xC4: IDEScripts.state(&script, .ideMultipleDefault, status: 0x09, error: 0x04)
    case 0x39, 0xC5: IDEScripts.state(&script, .ideMultipleDefault, status: 0x09, error: 0x04, level: true)
    case 0xE0...0xE3, 0xE6, 0xEF: IDEScripts.state(&script, .ideSeekComplete, status: 0x10)
    case _ where implemented.contains(code): IDEScripts.state(&script)
    default: IDEScripts.state(&script, .ideSeekComplete, status: 0x10)
    }
  }
}
