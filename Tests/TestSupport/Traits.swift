import Foundation
import Measurement
import Testing

/// Whether this is a CI run, where a test fails instead of being skipped when something that it needs is missing.
private let isCI = ProcessInfo.processInfo.environment["CI"] == "true"

private let canMakeTaps = (try? TapNetwork().descriptor("tap0")).map { close($0) == 0 } ?? false

extension Trait where Self == ConditionTrait {
  /// The test boots guests on the real /dev/kvm.
  package static var needsKVM: Self {
    .enabled(if: isCI || access("/dev/kvm", R_OK | W_OK) == 0, "needs /dev/kvm; see: swiftlet doctor")
  }

  /// The test runs the same guests under QEMU.
  package static var needsQEMU: Self {
    .enabled(
      if: isCI
        || (access("/dev/kvm", R_OK | W_OK) == 0 && access("/usr/bin/qemu-system-x86_64", X_OK) == 0),
      "needs /dev/kvm and qemu-system-x86_64: sudo apt-get install qemu-system-x86")
  }

  /// The test makes taps in a network namespace.
  package static var needsTaps: Self { .enabled(if: isCI || canMakeTaps, "needs root and /dev/net/tun") }

  /// The test loads pages in a browser.
  package static var needsChromium: Self {
    .enabled(
      if: isCI || access("/usr/bin/chromium", X_OK) == 0, "needs chromium: sudo apt-get install chromium")
  }

  /// The test plays scripts to QEMU, which interprets and needs no KVM.
  package static var needsOracle: Self {
    .enabled(
      if: isCI || access("/usr/bin/qemu-system-x86_64", X_OK) == 0,
      "needs qemu-system-x86_64: sudo apt-get install qemu-system-x86")
  }

  /// The test boots unmodified Linux, on this host's KVM or in the lab, which needs Debian's packages.
  package static var needsLinux: Self {
    .enabled(
      if: isCI
        || (access("/usr/bin/apt-get", X_OK) == 0
          && (LinuxHost.current == .direct || access("/usr/bin/qemu-system-x86_64", X_OK) == 0)),
      "needs a Debian host with qemu-system-x86_64: sudo apt-get install qemu-system-x86")
  }
}
