import CLinux

/// A vCPU's CPUID leaves.
public struct CPUIDTable {
  /// Leaf 1, ECX.
  private enum Feature {
    static let virtualMachineExtensions: UInt32 = 1 << 5
    /// PDCM: the MSR of performance capabilities.
    static let performanceCapabilities: UInt32 = 1 << 15
    static let tscDeadline: UInt32 = 1 << 24
    static let hypervisor: UInt32 = 1 << 31
    static let hidden = virtualMachineExtensions | performanceCapabilities
  }
  /// Leaf 80000001H, ECX.
  private enum ExtendedFeature {
    static let secureVirtualMachine: UInt32 = 1 << 2
    static let coreCounters: UInt32 = 1 << 23
    static let hidden = secureVirtualMachine | coreCounters
  }
  var raw: clinux_cpuid
  private let hasDeadlineTimer: Bool

  init(_ raw: clinux_cpuid, hasDeadlineTimer: Bool) {
    self.raw = raw
    self.hasDeadlineTimer = hasDeadlineTimer
  }

  /// The leaves for vCPU `index`: KVM's leaves, with the vCPU's APIC ID and the topology of one package with `count`
  /// single-threaded cores.
  ///
  /// Hides VMX, SVM and the performance counters. A host with nesting or a vPMU offers them to every guest, but no test
  /// here covers them.
  public func forVCPU(_ index: Int, of count: Int) -> CPUIDTable {
    var table = self
    withUnsafeMutableBytes(of: &table.raw.entries) { bytes in
      let entries = bytes.bindMemory(to: kvm_cpuid_entry2.self)
      for position in 0..<Int(min(table.raw.count, 256)) {
        switch entries[position].function {
        case 1:
          let id = UInt32(truncatingIfNeeded: index) << 24
          let logical = UInt32(truncatingIfNeeded: min(count, 255)) << 16
          entries[position].ebx = (entries[position].ebx & 0xFFFF) | id | logical
          // User space sets the hypervisor bit, and the bit for the LAPIC's TSC deadline timer.
          entries[position].ecx = entries[position].ecx & ~Feature.hidden | Feature.hypervisor
          if hasDeadlineTimer { entries[position].ecx |= Feature.tscDeadline }
          // HTT: the logical processor count above is valid.
          entries[position].edx = count > 1 ? entries[position].edx | 1 << 28 : entries[position].edx & ~(1 << 28)
        case 4:
          // No caches are shared between threads; the package has `count` cores.
          let cores = UInt32(truncatingIfNeeded: min(count, 64) - 1) << 26
          if entries[position].eax & 0x1F != 0 { entries[position].eax = (entries[position].eax & 0x3FFF) | cores }
        case 0xB, 0x1F:
          entries[position].edx = UInt32(truncatingIfNeeded: index)
          if entries[position].index == 0 {
            entries[position].eax = 0
            entries[position].ebx = 1
          } else if entries[position].index == 1 {
            entries[position].eax = UInt32(Int.bitWidth - max(0, count - 1).leadingZeroBitCount)
            entries[position].ebx = UInt32(truncatingIfNeeded: count)
          }
        case 0x8000_0001: entries[position].ecx &= ~ExtendedFeature.hidden
        // Performance counters of Intel and of AMD, and features of SVM.
        case 0xA, 0x8000_0022, 0x8000_000A:
          entries[position].eax = 0
          entries[position].ebx = 0
          entries[position].ecx = 0
          entries[position].edx = 0
        default: break
        }
      }
    }
    return table
  }
}
