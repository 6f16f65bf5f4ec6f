import CGuest

/// Fields of hvm_start_info, as offsets (Xen's PVH boot ABI).
enum StartInfo {
  static var commandLine: UInt64 { 24 }
  static var memoryMap: UInt64 { 40 }
  static var memoryMapCount: UInt64 { 48 }
}

/// The entry from Entry.S to CPL 3: sets up the runtime, runs the program named on the command line, and ends.
@_cdecl("guest_start")
func guestStart(_ argument: UInt32) {
  guest_fill_idt()
  Console.setUp()
  Heap.setUp()
  InterruptController.setUp()
  service_enable_interrupts()
  let arguments = CommandLine(address: ring_load64(guest_start_info() + StartInfo.commandLine))
  runProgram(arguments)
  exitGuest(.success)
}

/// Runs after an exception: reports it and ends with a separate status.
@_cdecl("guest_crashed")
func guestCrashed() {
  var line = JSONLine(event: "exception")
  line.add("vector", guest_crash_field(0))
  line.add("errorCode", guest_crash_field(1))
  line.add("rip", guest_crash_field(2))
  line.add("cr2", guest_crash_field(3))
  line.end()
  exitGuest(.exception)
}

/// How a guest ends: the value that it writes to the debug-exit port. QEMU turns v into status 2v + 1.
enum ExitValue: UInt8 {
  case success = 0
  /// The program found wrong data or a device that does not answer; a JSON line has the reason.
  case failed = 1
  /// The command line asks for something unknown or absent.
  case usage = 2
  case exception = 3
}

func exitGuest(_ value: ExitValue) -> Never {
  guest_outb(0xF4, value.rawValue)
  // Without that port in the VMM, sleeps forever.
  let never = guest_vector_count_address(255)
  while true { service_halt(never, ring_load32(never)) }
}

/// Ends the program with a line that gives the reason.
func fail(_ why: StaticString, _ value: UInt64 = 0, _ exit: ExitValue = .failed) -> Never {
  var line = JSONLine(event: "failed")
  line.add("why", why)
  line.add("value", value)
  line.end()
  exitGuest(exit)
}

/// Memory for rings and buffers: all memory behind the image up to the end of low RAM.
enum Heap {
  static func setUp() {
    let info = guest_start_info()
    var entry = ring_load64(info + StartInfo.memoryMap)
    let count = ring_load32(info + StartInfo.memoryMapCount)
    var end: UInt64 = 16 << 20
    for _ in 0..<min(count, 64) where entry != 0 {
      let start = ring_load64(entry)
      let size = ring_load64(entry + 8)
      let type = ring_load32(entry + 16)
      if type == 1, start <= 0x10_0000, start &+ size > end { end = start &+ size }
      entry += 24
    }
    guest_set_heap(guest_image_end(), min(end, 0xC000_0000))
  }

  /// Allocates zeroed memory that is never freed.
  static func allocate(_ bytes: Int, alignment: Int = 4096) -> UInt64 {
    let address = guest_allocate(UInt64(bytes), UInt64(alignment))
    if address == 0 { fail("out of memory", UInt64(bytes), .usage) }
    return address
  }
}
