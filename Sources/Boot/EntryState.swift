/// The state in which the first vCPU enters a kernel. Segments are flat, and interrupts are off.
package enum EntryState: Sendable, Equatable {
  /// 32-bit protected mode, paging off; ebx holds the address of hvm_start_info (PVH).
  case protectedMode(instructionPointer: UInt32, startInfo: UInt32)
  /// 64-bit mode; rsi holds the address of the boot parameters (x86 boot protocol, 64-bit).
  case longMode(instructionPointer: UInt64, bootParameters: UInt64, pageTables: UInt64, descriptors: UInt64)
}
