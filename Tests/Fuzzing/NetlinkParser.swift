import Failures

@testable import Backends

/// Reads the kernel's answers from any bytes.
enum NetlinkParser {
  static func parse(_ bytes: UnsafeRawBufferPointer) {
    let answer = Array(bytes)
    guard let message = NetlinkMessage(answer[...]) else { return }
    _ = message.errorCode
    guard let link = HostLink(message) else { return }
    check(link.name.utf8.count <= 3 * answer.count, "the name is longer than the answer")
    if let tun = link.tun { check(tun.owner == nil || link.kind == "tun", "a tap without a kind") }
    // What it read, it can also write.
    for attribute in NetlinkAttribute.all(in: message.body.dropFirst(16)) {
      let copy = NetlinkAttribute.all(in: attribute.bytes[...])
      check(copy.count == 1 && copy[0].value == attribute.value, "an attribute does not read back")
    }
  }
}
