/// Scripts for PCI configuration space (PCI Local Bus 3.0; 82441FX, 82371SB and 82540EM datasheets).
enum PCIScripts {
  private static let functions: [(device: UInt32, function: UInt32, name: String)] = [
    (0, 0, "82441FX"), (1, 0, "PIIX3 ISA"), (1, 1, "PIIX3 IDE"), (4, 0, "82540EM"),
  ]

  static let all: [Script] =
    [latch, absent, sizing, command] + functions.map { header($0, $1, $2) } + functions.map { masks($0, $1, $2) }

  private static func script(_ name: String, _ body: (inout Script) -> Void) -> Script {
    var script = Script("PCI: \(name)")
    body(&script)
    return script
  }

  private static func address(_ device: UInt32, _ function: UInt32, _ register: UInt32) -> UInt32 {
    0x8000_0000 | device << 11 | function << 8 | register
  }

  static let latch = script("3.2.2.3.2, configuration mechanism #1") { script in
    script.outl(0xCF8, 0xFFFF_FFFF)
    script.inl(0xCF8, .pciAddressReserved, bits: 0x7F00_0003)
    script.outl(0xCF8, 0x0000_2000)
    script.inl(0xCF8)
    script.inl(0xCFC)
    script.outl(0xCF8, 0x8000_2000)
    script.outb(0xCF8, 0x04)
    script.inl(0xCF8)
    script.inl(0xCFC)
    for port in 0xCFC...0xCFF as ClosedRange<UInt64> { script.inb(port) }
    script.inw(0xCFC)
    script.inw(0xCFE)
    script.outl(0xCF8, 0x8001_2000)
    script.inl(0xCFC)
  }

  static let absent = script("3.2.2.3.4, missing functions") { script in
    for (device, function) in [(2, 0), (4, 1), (31, 7), (5, 0)] as [(UInt32, UInt32)] {
      script.outl(0xCF8, address(device, function, 0))
      script.inl(0xCFC)
      script.outl(0xCFC, 0)
      script.inl(0xCFC)
    }
  }

  static func header(_ device: UInt32, _ function: UInt32, _ name: String) -> Script {
    script("6.1, header of the \(name)") { script in
      for register in stride(from: 0, to: 0x40, by: 4) as StrideTo<UInt32> {
        script.outl(0xCF8, address(device, function, register))
        switch (register, device, function) {
        case (0x2C, _, _): script.inl(0xCFC, .pciSubsystem)
        default: script.inl(0xCFC)
        }
      }
    }
  }

  static func masks(_ device: UInt32, _ function: UInt32, _ name: String) -> Script {
    script("6.2, which bits of the \(name) can be written") { script in
      for value in [0xFFFF_FFFF, 0x0000_0000] as [UInt32] {
        for register in stride(from: 0, to: 0x40, by: 4) as StrideTo<UInt32> where register != 0x04 {
          script.outl(0xCF8, address(device, function, register))
          script.outl(0xCFC, value)
          switch register {
          case 0x0C where value != 0: script.inl(0xCFC, .pciLatencyTimer, bits: 0xFF00)
          case 0x2C: script.inl(0xCFC, .pciSubsystem)
          default: script.inl(0xCFC)
          }
        }
      }
    }
  }

  static let sizing = script("6.2.5.1, sizes of base addresses, and a NIC that moves") { script in
    for register in [0x10, 0x14, 0x18, 0x30] as [UInt32] {
      script.outl(0xCF8, address(4, 0, register))
      script.outl(0xCFC, 0xFFFF_FFFF)
      script.inl(0xCFC)
      script.outl(0xCFC, 0x0000_0000)
      script.inl(0xCFC)
    }
    script.outl(0xCF8, address(4, 0, 0x10))
    script.outl(0xCFC, 0xE100_0000)
    script.inMemory(0xE100_0038)
    script.inMemory(0xE000_0038, .unmappedMemory)
  }

  static let command = script("6.2.2, the command register") { script in
    for function in [(1, 1), (4, 0)] as [(UInt32, UInt32)] {
      script.outl(0xCF8, address(function.0, function.1, 0x04))
      for value in [0xFFFF, 0x0000, 0x0400, 0x0007] as [UInt16] {
        script.outw(0xCFC, value)
        switch (value, function.0) {
        case (0xFFFF, 1), (0x0007, 1): script.inw(0xCFC, .pciIDECommand, bits: 0x0102)
        default: script.inw(0xCFC)
        }
      }
      // Writing ones clears status bits; none is set.
      script.outw(0xCFE, 0xFFFF)
      script.inw(0xCFE)
    }
    // With memory space off, the NIC does not answer.
    script.outw(0xCFC, 0x0005)
    script.inMemory(0xE000_0038, .unmappedMemory)
    // While bit 10 is set, the NIC does not drive INTA#, but status bit 3 still shows it.
    script.outw(0xCFC, 0x0407)
    script.outMemory(0xE000_00D0, 0x4)
    script.outMemory(0xE000_00C8, 0x4)
    script.settle()
    script.level(11)
    script.inw(0xCFE)
    script.outw(0xCFC, 0x0007)
    script.settle()
    script.level(11)
  }
}
