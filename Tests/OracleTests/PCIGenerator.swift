import TestSupport

/// Generates scripts from a seed that write configuration registers in parts and read them back. No function decodes
/// its addresses meanwhile, so a base address may have any value.
enum PCIGenerator {
  private static let functions: [UInt32] = [0x0000, 0x0800, 0x0900, 0x2000]

  static func script(seed: UInt64, operations: [Int]) -> Script {
    var script = Script("PCI: generated, seed \(seed)")
    for function in functions.suffix(2) {
      script.outl(0xCF8, 0x8000_0004 | function)
      script.outw(0xCFC, 0)
    }
    for operation in operations {
      var random = Oracle.numbers(seed: seed, operation: operation)
      write(&script, &random)
    }
    return script
  }

  private static func write(_ script: inout Script, _ random: inout RandomNumbers) {
    let function = functions.randomElement(using: &random) ?? 0
    let bases: [UInt32] = [0x10, 0x14, 0x18, 0x1C, 0x20, 0x24]
    let register = (bases + [0x30, 0x3C]).randomElement(using: &random) ?? 0x10
    let width = [1, 2, 4].randomElement(using: &random) ?? 4
    let offset = UInt64.random(in: 0..<UInt64(4 / width), using: &random) * UInt64(width)
    let value = Bool.random(using: &random) ? ~0 : UInt64.random(in: 0...0xFFFF_FFFF, using: &random)
    script.outl(0xCF8, 0x8000_0000 | function | register)
    script.steps.append(.write(.port, 0xCFC + offset, width: width, value & (1 << UInt64(8 * width) - 1)))
    script.inl(0xCFC)
    script.inw(0xCFC + offset & ~1)
    script.inb(0xCFC + offset)
    // The other registers do not change.
    let other = bases.randomElement(using: &random) ?? 0x10
    script.outl(0xCF8, 0x8000_0000 | function | other)
    script.inl(0xCFC)
  }
}
