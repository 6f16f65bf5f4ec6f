import CGuest

/// Prints hello with the `name=` of the command line, and starts `cpus=` CPUs.
func hello(_ arguments: CommandLine) {
  let count = UInt32(truncatingIfNeeded: arguments.number("cpus", default: 1))
  guard count >= 1, count <= 16 else { fail("cpus= must be 1 to 16", UInt64(count), .usage) }
  for index in 1..<max(count, 1) { Processors.start(index) { _ in } }
  var line = JSONLine(event: "hello")
  if let name = arguments["name"] { line.add("name", text: name) }
  line.add("cpus", UInt64(count))
  line.end()
}

/// Crashes or hangs on purpose, as `how=` selects. The VMM must report it.
func crash(_ arguments: CommandLine) {
  guard let how = arguments["how"] else { fail("no how= on the command line", 0, .usage) }
  if how.equals("page-fault") {
    mmio_write32(0x40_0000_0000, 1)
  } else if how.equals("triple-fault") {
    // Without a valid stack and with a zeroed IDT, no exception can be delivered.
    let idt = UnsafeMutableRawPointer(bitPattern: UInt(guest_idt())).unsafelyUnwrapped
    idt.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    mmio_write32(0x40_0000_0000, 1)
  } else if how.equals("silence") {
    while true { cpu_pause() }
  } else {
    fail("how= must be page-fault, triple-fault or silence", 0, .usage)
  }
}
