import Foundation
import KVM

/// The host of a measurement.
package struct HostDescription: Codable, Sendable {
  package var cpu: String
  package var cores: Int
  package var memoryBytes: UInt64
  package var kernel: String
  package var kvm: String
  package var load: Double

  package init() {
    let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
    let model = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last ?? "unknown"
    cpu = model.trimmingCharacters(in: .whitespaces)
    cores = ProcessInfo.processInfo.activeProcessorCount
    memoryBytes = ProcessInfo.processInfo.physicalMemory
    kernel =
      (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8))?
      .trimmingCharacters(in: .newlines) ?? "unknown"
    kvm = System.kind.rawValue
    load = HostActivity.load
  }

  /// The kind of KVM and the cost of an exit, for the head of a table.
  package var kvmSentence: String {
    switch KVMKind(rawValue: kvm) ?? .unknown {
    case .pvm: "KVM kind: pvm, a software KVM (an exit costs about 45 us where hardware takes about 1)"
    case .vmx: "KVM kind: vmx (VT-x)"
    case .svm: "KVM kind: svm (AMD-V)"
    case .unknown: "KVM kind: unknown"
    }
  }
}

/// The host's other load.
enum HostActivity {
  /// The load average of the last minute.
  static var load: Double {
    let text = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
    return text.split(separator: " ").first.flatMap { Double($0) } ?? 0
  }

  /// Time stolen from this host by its own hypervisor since boot, in seconds.
  static var steal: Double {
    let text = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
    let fields = text.prefix { $0 != "\n" }.split(separator: " ")
    guard fields.count > 8, let ticks = Double(fields[8]) else { return 0 }
    return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }
}
