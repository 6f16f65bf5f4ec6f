import Failures
import Foundation
import KVM
import TestSupport
import Testing

@Suite("/dev/kvm and what keeps it from opening")
struct SystemTests {
  private func refusal(_ path: String) -> Failure? {
    do throws(Failure) {
      _ = try System(path: path)
      return nil
    } catch {
      return error
    }
  }

  @Test("a missing device is said, with the module to load")
  func missing() throws {
    let failure = try #require(refusal("/nowhere/kvm"))
    #expect(failure.action == "open /nowhere/kvm")
    #expect(failure.cause == "No such file or directory")
    #expect(failure.fix?.contains("sudo modprobe kvm_intel") == true)
  }

  @Test("another device is not taken for KVM", arguments: ["/dev/null", "/dev/zero"])
  func notKVM(path: String) throws {
    let failure = try #require(refusal(path))
    #expect(failure.description.hasPrefix("use \(path): it is not KVM. "))
  }

  @Test("without permission the group to join is said")
  func permission() throws {
    let path = NSTemporaryDirectory() + "swiftlet-kvm-\(UUID().uuidString)"
    #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o000]))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let failure = try #require(asNobody { self.refusal(path) })
    #expect(failure.cause == "Permission denied")
    #expect(failure.fix?.contains("sudo usermod -aG kvm $USER") == true)
    #expect(!failure.description.contains("\n"))
  }

  /// Runs `body` with another user's rights to files: setfsuid, which is of the thread alone, takes root's away.
  private func asNobody(_ body: @escaping @Sendable () -> Failure?) -> Failure? {
    final class Result: @unchecked Sendable {
      var value: Failure?
      let done = DispatchSemaphore(value: 0)
    }
    let result = Result()
    let thread = Thread {
      if let symbol = dlsym(nil, "setfsuid") {
        _ = unsafeBitCast(symbol, to: (@convention(c) (UInt32) -> Int32).self)(65_534)
      }
      result.value = body()
      result.done.signal()
    }
    thread.start()
    result.done.wait()
    return result.value
  }

  @Test("every required capability is there", .needsKVM)
  func capabilities() throws {
    let system = try System()
    for capability in System.Capability.allCases where capability.isRequired {
      #expect(system.check(capability) > 0, "\(capability)")
    }
    #expect(system.maximumVCPUs >= 1)
    #expect(try system.vCPUMappingSize() % 4096 == 0)
  }
}
