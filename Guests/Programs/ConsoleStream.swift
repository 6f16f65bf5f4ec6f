import CGuest

/// Reads `receive=` bytes from COM1, prints their number and hash, and then prints `send=` bytes of a pattern.
func consoleStream(_ arguments: CommandLine) {
  let wanted = arguments.number("receive", default: 0)
  var ready = JSONLine(event: "ready")
  ready.add("receive", wanted)
  ready.end()
  // Before the line starts, since both use the same buffer.
  let hash = Console.hash(count: wanted)
  var line = JSONLine(event: "console")
  line.add("received", wanted)
  line.add("hash", hash)
  line.end()
  let length = arguments.number("send", default: 0)
  for index in 0..<length { Console.write(byte: 0x20 + UInt8(truncatingIfNeeded: (index * 7 + index / 95) % 95)) }
}
