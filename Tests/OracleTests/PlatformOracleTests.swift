import TestSupport
import Testing

@Suite("The UART against QEMU's", .needsOracle, .serialized, .timeLimit(.minutes(10)))
struct UARTOracleTests {
  private static let qemu = QEMUMachine()

  @Test("scripts", arguments: UARTScripts.all)
  func script(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("generated", arguments: Oracle.seeds(60))
  func generated(seed: UInt64) throws {
    try Oracle.check(seed: seed, count: 60, Self.qemu, generate: UARTGenerator.script)
  }
}

@Suite("The real-time clock against QEMU's", .needsOracle, .serialized, .timeLimit(.minutes(10)))
struct RTCOracleTests {
  private static let qemu = QEMUMachine()

  @Test("scripts", arguments: RTCScripts.all)
  func script(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("generated", arguments: Oracle.seeds(20))
  func generated(seed: UInt64) throws {
    try Oracle.check(seed: seed, count: 6, Self.qemu, generate: RTCGenerator.script)
  }
}

@Suite("PCI configuration space against QEMU's", .needsOracle, .serialized, .timeLimit(.minutes(10)))
struct PCIOracleTests {
  private static let qemu = QEMUMachine()

  @Test("scripts", arguments: PCIScripts.all)
  func script(_ script: Script) throws { try Oracle.check(script, Self.qemu) }

  @Test("generated", arguments: Oracle.seeds(20))
  func generated(seed: UInt64) throws {
    try Oracle.check(seed: seed, count: 40, Self.qemu, generate: PCIGenerator.script)
  }
}
