import Failures

@testable import FuzzedSettings

/// Parses the values of command-line options from any text. Each line of the input is one option.
///
/// `FuzzedSettings` compiles the files of the command itself, through links: a library cannot import an executable.
enum SettingsParser {
  static func parse(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(8).map(String.init)
    attempt { () throws(Failure) in
      for nic in try NICSettings.all(lines) {
        check(nic.macAddress.count == 6 && nic.macAddress[0] & 1 == 0, "a NIC has no unicast address")
        check(nic.mtu >= 68, "an MTU of \(nic.mtu)")
      }
    }
    for line in lines {
      attempt { () throws(Failure) in
        let disk = try DiskSettings(line)
        check(!disk.file.isEmpty, "a disk without a file")
      }
      attempt { () throws(Failure) in
        let address = try InterfaceAddress(line)
        let again = try InterfaceAddress(address.description)
        check(again == address, "\(address) reads back as \(again)")
      }
      if let count = ByteCount(argument: line) { check(count.bytes > 0, "a size of \(count.bytes) bytes") }
    }
  }

  private static func attempt(_ body: () throws(Failure) -> Void) {
    do throws(Failure) { try body() } catch { ImageParser.require(error, limit: 1 << 16) }
  }
}
