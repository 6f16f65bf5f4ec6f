import Failures
import Foundation

/// An IPv4 or IPv6 address with its prefix length, for example `10.73.0.1/24`.
struct InterfaceAddress: Equatable, CustomStringConvertible {
  /// The address in canonical notation, so that equal addresses have equal texts.
  let host: String
  let bits: Int

  init(_ text: String) throws(Failure) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, let bits = Int(parts[1]),
      let host = Self.normal(parts[0], AF_INET, bits, 0...32) ?? Self.normal(parts[0], AF_INET6, bits, 0...128)
    else {
      throw Failure(
        "read the address \(text)", cause: "it is not an address with a prefix length",
        fix: "Use one such as 10.73.0.1/24.")
    }
    self.host = host
    self.bits = bits
  }

  var description: String { "\(host)/\(bits)" }

  private static func normal(_ text: String, _ family: Int32, _ bits: Int, _ range: ClosedRange<Int>) -> String? {
    guard range.contains(bits) else { return nil }
    var address = in6_addr()
    guard inet_pton(family, text, &address) == 1 else { return nil }
    var name = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(family, &address, &name, socklen_t(name.count)) != nil else { return nil }
    return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
