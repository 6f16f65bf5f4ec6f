import Failures
import Foundation
import KVM
import TestSupport
import Testing

@Suite("/dev/kvm and errors of opening it")
struct SystemTests {
  private func refusal(_ path: String) -> Failure? {
    do throws(Failure) {
      _ = try System(path: path)
      return nil
    } catch {
      return error
    }
  }

  @Test("the error for a missing device names the module to load")
  func missing() throws {
    let failure = try #require(refusal("/nowhere/kvm"))
    #expect(failure.action == "open /nowhere/kvm")
    #expect(failure.cause == "No such file or directory")
    #expect(failure.fix?.contains("sudo modprobe kvm_intel") == true)
  }

  @Test("another device is not mistaken for KVM", arguments: ["/dev/null", "/dev/zero"])
  func notKVM(path: String) throws {
    let failure = try #require(refusal(path))
    #expect(failure.description.hasPrefix("use \(path): it is not KVM. "))
  }

  @Test("the error for a missing permission names the group to join")
  func permission() throws {
    let path = NSTemporaryDirectory() + "swiftlet-kvm-\(UUID().uuidString)"
    #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o000]))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let failure = try #require(asNobody { self.refusal(path) })
    #expect(failure.cause == "Permission denied")
    #expect(failure.fix?.contains("sudo usermod -aG kvm $USER") == true)
    #expect(!failure.description.contains("\n"))
  }

  /// Runs `body` without root's access rights to files: setfsuid changes them for this thread only.
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

  @Test("KVM has every required capability", .needsKVM)
  func capabilities() throws {
    let system = try System()
    for capability in System.Capability.allCases where capability.isRequired {
      #expect(system.check(capability) > 0, "\(capability)")
    }
    #expect(system.maximumVCPUs >= 1)
    #expect(try system.vCPUMappingSize() % 4096 == 0)
  }
}
