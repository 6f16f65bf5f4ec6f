import TestSupport
import Testing

@Suite("The PIIX3's IDE against QEMU's", .needsOracle, .serialized, .timeLimit(.minutes(10)))
struct IDEOracleTests {
  private static let qemu = QEMUMachine()

  @Test("PIO, addresses and settings", arguments: IDEScripts.all)
  func script(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("all opcodes", arguments: IDEOpcodeScripts.all)
  func opcodes(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("bus-master DMA", arguments: IDEDMAScripts.all)
  func dma(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("generated", arguments: Oracle.seeds(40))
  func generated(seed: UInt64) throws {
    try Oracle.check(seed: seed, count: 12, Self.qemu, generate: IDEGenerator.script)
  }
}
