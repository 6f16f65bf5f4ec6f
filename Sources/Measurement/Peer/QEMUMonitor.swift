import Foundation
import Glibc

/// QEMU's machine protocol (QMP) over a socket: one question, one answer. Used by one thread at a time.
final class QEMUMonitor: Sendable {
  private let descriptor: Int32

  /// - Parameter descriptor: this end of the socket. The monitor closes it.
  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    // A program that never answers must not block the report.
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// Reads the greeting and leaves negotiation mode.
  func begin() {
    _ = readLine()
    _ = ask(#"{"execute": "qmp_capabilities"}"#)
  }

  /// Exits of all vCPUs as KVM counts them; nil before QEMU 7.1, which cannot say.
  var kernelExits: UInt64? {
    let names = #"[{"provider": "kvm", "names": ["exits"]}]"#
    let question = #"{"execute": "query-stats", "arguments": {"target": "vcpu", "providers": \#(names)}}"#
    guard let vCPUs = ask(question) as? [[String: Any]], !vCPUs.isEmpty else { return nil }
    var sum: UInt64 = 0
    for vCPU in vCPUs {
      guard let statistics = vCPU["stats"] as? [[String: Any]],
        let exits = statistics.first(where: { $0["name"] as? String == "exits" })?["value"] as? Int
      else { return nil }
      sum &+= UInt64(clamping: exits)
    }
    return sum
  }

  /// The answer's `return` value; nil when QEMU refuses or has gone.
  private func ask(_ question: String) -> Any? {
    let line = Array((question + "\n").utf8)
    guard send(descriptor, line, line.count, Int32(MSG_NOSIGNAL)) == line.count else { return nil }
    // Events may come before the answer.
    while let line = readLine() {
      guard let answer = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] else { return nil }
      if answer["error"] != nil { return nil }
      if let value = answer["return"] { return value }
    }
    return nil
  }

  private func readLine() -> [UInt8]? {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while line.count < 1 << 16 {
      let count = recv(descriptor, &byte, 1, 0)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else { return nil }
      if byte == 0x0A { return line }
      line.append(byte)
    }
    return nil
  }
}
