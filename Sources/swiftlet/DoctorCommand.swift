import ArgumentParser
import Failures
import Foundation
import KVM
import Machine
import Sandbox

/// `swiftlet doctor`: reports this host's capabilities, and how to add missing ones.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Report this host's KVM capabilities, and how to add missing ones.")

  /// Describes the vCPU limit of a machine, and whether KVM or swiftlet sets it.
  private static func limit(ofKVM most: Int) -> String {
    let addressable = Machine.addressableVCPUs
    return most <= addressable
      ? "up to \(most) vCPUs"
      : "up to \(addressable) vCPUs (KVM allows \(most), but swiftlet has 8-bit APIC IDs, without x2APIC)"
  }

  func run() throws {
    var isUsable = true
    func report(_ isGood: Bool, _ what: String, fix: String? = nil) {
      print("\(isGood ? "ok  " : "miss") \(what)\(isGood ? "" : fix.map { ". \($0)" } ?? "")")
    }
    do {
      let system = try System()
      report(true, "/dev/kvm opens; kind \(System.kind.rawValue), \(Self.limit(ofKVM: system.maximumVCPUs))")
      if System.kind == .pvm {
        print("     a software KVM: code at CPL 0 is interpreted, an exit costs about 45 us")
      }
      for capability in System.Capability.allCases {
        let isThere = system.check(capability) > 0
        let fix = "Use a newer kernel than \(HostKernel.release)."
        report(isThere, "\(capability)", fix: fix)
        if !isThere, capability.isRequired { isUsable = false }
      }
      for trial in try KVMTrial.run(on: system) {
        let why = trial.refusal.map { "\($0) Guests run without it, but slower." }
        report(trial.refusal == nil, "KVM accepts \(trial.name)", fix: why)
      }
    } catch {
      isUsable = false
      report(false, error.description)
    }
    let tun = access("/dev/net/tun", R_OK | W_OK) == 0
    report(tun, "/dev/net/tun for --net backend=tap", fix: "Load it: sudo modprobe tun. The switch works without it.")
    let pages = (try? String(contentsOfFile: "/sys/kernel/mm/transparent_hugepage/enabled", encoding: .utf8)) ?? ""
    report(
      !pages.isEmpty && !pages.contains("[never]"), "transparent huge pages",
      fix: "Guests run slower without them: echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled")
    for (part, reason) in Sandbox.support {
      report(
        reason == nil, "\(part) for the sandbox", fix: reason.map { "Here \($0). swiftlet run goes on without it." })
    }
    guard isUsable else { throw ExitCode(1) }
  }
}

private enum HostKernel {
  static var release: String {
    (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8))?
      .trimmingCharacters(in: .newlines) ?? "unknown"
  }
}
