import CLinux
import Testing

@testable import KVM

@Suite("CPUID of a vCPU (SDM 3.3, CPUID; leaves 1, 4 and 0BH)")
struct CPUIDTests {
  private typealias Entry = kvm_cpuid_entry2

  /// The leaves of vCPU `index` of `count`, derived from KVM's answer with the host's topology.
  private func leaves(_ index: Int, of count: Int, hasDeadlineTimer: Bool = true) -> [Entry] {
    var raw = clinux_cpuid()
    var entries: [Entry] = []
    func add(_ function: UInt32, _ subleaf: UInt32, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32) {
      var entry = Entry()
      entry.function = function
      entry.index = subleaf
      (entry.eax, entry.ebx, entry.ecx, entry.edx) = (eax, ebx, ecx, edx)
      entries.append(entry)
    }
    add(0, 0, eax: 0xD, ebx: 0x756E_6547, ecx: 0x6C65_746E, edx: 0x4965_6E69)
    add(1, 0, eax: 0x806F8, ebx: 0x1310_0800, ecx: 0x0000_8021, edx: 0x178B_FBFF)
    add(4, 0, eax: 0xFC00_4121, ebx: 0x02C0_003F, ecx: 0x3F, edx: 0)
    add(4, 4, eax: 0, ebx: 0, ecx: 0, edx: 0)
    add(0xB, 0, eax: 1, ebx: 2, ecx: 0x100, edx: 0x13)
    add(0xB, 1, eax: 6, ebx: 40, ecx: 0x201, edx: 0x13)
    add(0xA, 0, eax: 0x0730_0805, ebx: 0, ecx: 0, edx: 0x603)
    add(0x8000_0001, 0, eax: 0, ebx: 0, ecx: 0x0080_0007, edx: 0x2C10_0800)
    add(0x8000_000A, 0, eax: 1, ebx: 0x8000, ecx: 0, edx: 0x1BCFF)
    add(0x8000_0022, 0, eax: 1, ebx: 6, ecx: 0, edx: 0)
    raw.count = UInt32(entries.count)
    withUnsafeMutableBytes(of: &raw.entries) { bytes in
      for (position, entry) in entries.enumerated() { bytes.bindMemory(to: Entry.self)[position] = entry }
    }
    let table = CPUIDTable(raw, hasDeadlineTimer: hasDeadlineTimer).forVCPU(index, of: count)
    var copy = table.raw
    return withUnsafeMutableBytes(of: &copy.entries) { bytes in
      Array(bytes.bindMemory(to: Entry.self).prefix(entries.count))
    }
  }

  @Test("leaf 1 has the vCPU's APIC ID and the number of logical processors; HTT is set only for several")
  func leaf1() {
    let one = leaves(0, of: 1)[1]
    #expect(one.ebx == 0x0001_0800)
    #expect(one.edx & 1 << 28 == 0)
    let third = leaves(2, of: 4)[1]
    #expect(third.ebx == 0x0204_0800)
    #expect(third.edx & 1 << 28 != 0)
    #expect(third.ecx == 0x8100_0001)
  }

  @Test("leaf 1 reports a guest (ECX 31), and a TSC deadline timer (24) if KVM has it")
  func hypervisor() {
    #expect(leaves(0, of: 1)[1].ecx == 0x8100_0001)
    #expect(leaves(0, of: 1, hasDeadlineTimer: false)[1].ecx == 0x8000_0001)
  }

  @Test("leaf 4 has the package's cores and no cache shared between threads; its terminator is unchanged")
  func leaf4() {
    let all = leaves(1, of: 4)
    #expect(all[2].eax == 0x0C00_0121)
    #expect(all[2].ebx == 0x02C0_003F)
    #expect(all[3].eax == 0)
  }

  @Test(
    "leaf 0BH has the x2APIC ID, one thread per core, and a shift that is large enough for every ID",
    arguments: [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3)])
  func leafB(count: Int, shift: Int) {
    for index in 0..<count {
      let all = leaves(index, of: count)
      #expect((all[4].eax, all[4].ebx, all[4].edx) == (0, 1, UInt32(index)))
      #expect((all[5].eax, all[5].ebx, all[5].edx) == (UInt32(shift), UInt32(count), UInt32(index)))
      #expect((all[4].ecx, all[5].ecx) == (0x100, 0x201))
    }
  }

  @Test("nested virtualization is hidden: VMX (leaf 1), SVM (leaf 80000001H) and SVM's features (8000000AH)")
  func nestedVirtualization() {
    let all = leaves(0, of: 1)
    #expect(all[1].ecx & 1 << 5 == 0)
    #expect(all[7].ecx & 1 << 2 == 0)
    #expect((all[8].eax, all[8].ebx, all[8].ecx, all[8].edx) == (0, 0, 0, 0))
  }

  @Test("performance counters are hidden: leaves 0AH and 80000022H, PDCM (leaf 1) and PerfCtrExtCore (80000001H)")
  func performanceCounters() {
    let all = leaves(0, of: 1)
    #expect((all[6].eax, all[6].ebx, all[6].ecx, all[6].edx) == (0, 0, 0, 0))
    #expect((all[9].eax, all[9].ebx, all[9].ecx, all[9].edx) == (0, 0, 0, 0))
    #expect(all[1].ecx & 1 << 15 == 0)
    #expect(all[7].ecx & 1 << 23 == 0)
    #expect((all[7].ecx, all[7].edx) == (0x0000_0003, 0x2C10_0800), "the other bits are KVM's")
  }

  @Test("leaf 0 is the host's")
  func vendor() { #expect(leaves(3, of: 4)[0].ebx == 0x756E_6547) }
}
