/// The state in which the first vCPU enters a kernel. Flat segments, interrupts off.
package enum EntryState: Sendable, Equatable {
  /// 32-bit protected mode, paging off; rbx holds the address of what the kernel was started with (PVH).
  case protectedMode(instructionPointer: UInt32, startInfo: UInt32)
  /// 64-bit mode; rsi holds the address of the boot parameters (x86 boot protocol, 64-bit).
  case longMode(instructionPointer: UInt64, bootParameters: UInt64, pageTables: UInt64, descriptors: UInt64)
}
