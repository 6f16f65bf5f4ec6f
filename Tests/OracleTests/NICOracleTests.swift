import TestSupport
import Testing

@Suite("The 82540EM against QEMU's", .needsOracle, .serialized, .timeLimit(.minutes(10)))
struct NICOracleTests {
  private static let qemu = QEMUMachine()

  @Test("frames", arguments: NICTrafficScripts.all)
  func frames(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("registers", arguments: NICScripts.all)
  func registers(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("generated", arguments: Oracle.seeds(40))
  func generated(seed: UInt64) throws {
    try Oracle.check(seed: seed, count: 12, Self.qemu, generate: NICGenerator.script)
  }
}
