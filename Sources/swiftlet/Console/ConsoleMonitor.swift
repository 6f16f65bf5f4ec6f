import Machine

/// A prompt on a guest's console to inspect and end the machine. Ctrl-A c opens it.
struct ConsoleMonitor {
  static let prompt = "(swiftlet) "
  private static let help = """
    info       exits and vCPU time so far
    stop       pause the guest
    powerdown  press the power button
    quit       end the machine at once
    cont       resume the guest if it is paused, and return to it

    """
  private(set) var isOpen = false
  private var line: [UInt8] = []

  /// Opens or closes the prompt. Returns the text to print.
  mutating func toggle() -> String {
    isOpen.toggle()
    line.removeAll()
    return isOpen ? "\n" + Self.prompt : "\n"
  }

  /// Takes a key typed at the prompt, and prints by `show`: the echo before a command runs, since a guest that continues
  /// prints too.
  mutating func take(_ byte: UInt8, machine: Machine, show: (String) -> Void) {
    switch byte {
    case 0x0D, 0x0A:
      let command = String(decoding: line, as: UTF8.self).split(separator: " ").joined(separator: " ")
      line.removeAll()
      show("\n")
      let answer = run(command, machine)
      show(answer + (isOpen ? Self.prompt : ""))
    case 0x7F, 0x08: if line.popLast() != nil { show("\u{8} \u{8}") }
    case 0x20..<0x7F where line.count < 256:
      line.append(byte)
      show(String(UnicodeScalar(byte)))
    default: break
    }
  }

  private mutating func run(_ command: String, _ machine: Machine) -> String {
    switch command {
    case "": return ""
    case "info":
      let exits = machine.counters.exits
      let kernel = machine.kernelExits.map { ", \($0) in the kernel" } ?? ""
      return "\(exits) exits\(kernel), \(machine.vCPUTime / 1_000_000) ms of vCPU time\n"
    case "powerdown", "system_powerdown": machine.pressPowerButton()
    case "quit", "q": machine.stop()
    case "stop", "s":
      if !machine.pause() { return "A request does not end, so the guest continues.\n" }
    case "cont", "c":
      machine.resume()
      isOpen = false
    case "help", "?": return Self.help
    default: return "Unknown command '\(command)'. Try: help\n"
    }
    return ""
  }
}
