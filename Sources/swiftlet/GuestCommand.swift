import ArgumentParser
import Backends
import GuestImages

/// `swiftlet guest`: writes the test guest to a file, to run it under another VMM.
struct GuestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guest",
    abstract: "Write the test guest to a file.",
    discussion: """
      The same image runs under QEMU:

        swiftlet guest guest.elf
        qemu-system-x86_64 -accel kvm -cpu host,-arch-capabilities -M pc -bios qboot.rom -nodefaults -display none \\
          -serial stdio -device isa-debug-exit,iobase=0xf4 -kernel guest.elf -append 'program=hello'
      """)

  @Argument(help: "The PVH ELF file to write.")
  var file: String

  func run() throws {
    let output = try OutputFile(
      file, .magic([Array("\u{7F}ELF".utf8)]), action: "write the test guest to \(file)", what: "an ELF image",
      option: "FILE")
    do {
      try output.replaceContents(with: GuestImage.bytes)
    } catch {
      output.removeIfMade()
      throw error
    }
  }
}
