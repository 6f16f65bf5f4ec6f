import CGuest

/// Time in nanoseconds from the TSC. Its scale comes from kvmclock, or else from a measurement against the PIT.
struct Clock {
  private let start: UInt64
  /// Nanoseconds per tick, as a 32.32 fixed-point number.
  private let scale: UInt64

  init() {
    scale = Clock.fromKVMClock() ?? Clock.fromPIT()
    start = guest_rdtsc()
  }

  /// Nanoseconds since the clock was created.
  var now: UInt64 {
    let product = (guest_rdtsc() &- start).multipliedFullWidth(by: scale)
    return product.high << 32 | product.low >> 32
  }

  /// The multiplier and shift of pvclock_vcpu_time_info (Linux Documentation/virt/kvm/x86/msr.rst).
  private static func fromKVMClock() -> UInt64? {
    let out = Heap.allocate(16, alignment: 16)
    let registers = UnsafeMutablePointer<UInt32>(bitPattern: UInt(out)).unsafelyUnwrapped
    service_cpuid(0x4000_0000, registers)
    guard registers[1] == 0x4B4D_564B, registers[2] == 0x564B_4D56 else { return nil }  // "KVMKVMKVM"
    service_cpuid(0x4000_0001, registers)
    guard registers[0] & 1 << 3 != 0 else { return nil }
    let page = Heap.allocate(4096)
    service_wrmsr(0x4B56_4D01, page | 1)
    let multiplier = UInt64(ring_load32(page + 24))
    let shift = Int8(bitPattern: ring_load8(page + 28))
    service_wrmsr(0x4B56_4D01, 0)
    guard multiplier != 0 else { return nil }
    return shift >= 0 ? multiplier << UInt64(shift) : multiplier >> UInt64(-shift)
  }

  /// Counts TSC ticks over 20 ms of PIT channel 2 (Intel 8254; port 0x61 gates it and shows its output).
  private static func fromPIT() -> UInt64 {
    let ticks: UInt32 = 23_864  // of 1 193 182 Hz
    guest_outb(0x61, guest_inb(0x61) & 0xFC | 0x01)
    guest_outb(0x43, 0xB0)
    guest_outb(0x42, UInt8(truncatingIfNeeded: ticks))
    guest_outb(0x42, UInt8(truncatingIfNeeded: ticks >> 8))
    let begin = guest_rdtsc()
    while guest_inb(0x61) & 0x20 == 0 {}
    let elapsed = guest_rdtsc() &- begin
    let nanoseconds = UInt64(ticks) * 1_000_000_000 / 1_193_182
    return (nanoseconds << 32) / max(elapsed, 1)
  }
}
