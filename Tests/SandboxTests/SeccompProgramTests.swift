import CLinux
import Sandbox
import Testing

/// Runs a filter as the kernel does, on the fields of struct seccomp_data.
private struct Interpreter {
  let program: [sock_filter]

  /// The filter's result, and the number of instructions that it took; nil if the program is malformed.
  func run(
    _ number: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = 0xC000_003E
  ) -> (result: UInt32, steps: Int)? {
    var data = [number, architecture, 0, 0]
    for index in 0..<6 {
      let value = index < arguments.count ? arguments[index] : 0
      data += [UInt32(truncatingIfNeeded: value), UInt32(truncatingIfNeeded: value >> 32)]
    }
    var accumulator: UInt32 = 0
    var place = 0
    var steps = 0
    while program.indices.contains(place) {
      let instruction = program[place]
      place += 1
      steps += 1
      func jump(_ isTaken: Bool) { place += Int(isTaken ? instruction.jt : instruction.jf) }
      switch instruction.code {
      case 0x20:
        guard instruction.k % 4 == 0, data.indices.contains(Int(instruction.k / 4)) else { return nil }
        accumulator = data[Int(instruction.k / 4)]
      case 0x15: jump(accumulator == instruction.k)
      case 0x35: jump(accumulator >= instruction.k)
      case 0x45: jump(accumulator & instruction.k != 0)
      case 0x06: return (instruction.k, steps)
      default: return nil
      }
    }
    return nil
  }

  func allows(_ number: UInt32, _ arguments: [UInt64] = []) -> Bool {
    run(number, arguments)?.result == 0x7FFF_0000
  }
}

@Suite("Seccomp filters, interpreted (Documentation/userspace-api/seccomp_filter.rst)")
struct SeccompProgramTests {
  private func interpreter(_ kind: ThreadKind) -> Interpreter {
    Interpreter(program: SeccompProgram(kind.permissions, tag: kind.rawValue).instructions)
  }

  @Test("calls that are not on the list trap with the thread's kind, and the program is well-formed for every number")
  func others() throws {
    for kind in ThreadKind.allCases {
      let filter = interpreter(kind)
      #expect(filter.program.count < 4096)
      let listed = Set(kind.permissions.map(\.call.rawValue))
      #expect(listed.count == kind.permissions.count, "\(kind) lists a call twice")
      for number in UInt32(0)..<600 {
        let result = try #require(filter.run(number, [1, 2, 0, 4, 5, 6])).result
        if !listed.contains(number) { #expect(result == 0x0003_0000 | UInt32(kind.rawValue), "\(kind): \(number)") }
      }
      for permission in kind.permissions {
        if case .always = permission.condition { #expect(filter.allows(permission.call.rawValue)) }
      }
    }
  }

  @Test("no thread may open, execute, connect, trace, start a process or a thread, or use another entry to the kernel")
  func forbidden() {
    // open, openat, openat2, execve, execveat, socket, connect, ptrace, fork, vfork, clone, clone3, bpf, io_uring_setup,
    // userfaultfd, mount, kill, prctl, seccomp, memfd_create, sendmsg, recvmsg, dup2, process_vm_writev, pkey_mprotect.
    let numbers: [UInt32] = [
      2, 257, 437, 59, 322, 41, 42, 101, 57, 58, 56, 435, 321, 425, 323, 165, 62, 157, 317, 319, 46, 47, 33, 311, 329,
    ]
    for kind in ThreadKind.allCases {
      for number in numbers { #expect(!interpreter(kind).allows(number), "\(kind): \(number)") }
    }
  }

  @Test("another architecture and x32 trap, even for an allowed number")
  func architectures() {
    for kind in ThreadKind.allCases {
      let filter = interpreter(kind)
      #expect(filter.allows(0) && filter.allows(231))
      #expect(filter.run(0, architecture: 0x4000_0003)?.result == 0x0003_0000 | UInt32(kind.rawValue))
      #expect(!filter.allows(0x4000_0000) && !filter.allows(0x4000_0000 | 231))
    }
  }

  @Test("ioctls: each kind has those of its work, by number")
  func ioctls() {
    // KVM_RUN, KVM_GET_REGS, KVM_IRQ_LINE, KVM_SET_USER_MEMORY_REGION, TUNSETOFFLOAD, TCSETS.
    let wanted: [ThreadKind: [UInt64]] = [
      .vCPU: [0xAE80, 0x8090_AE81, 0x4008_AE61, 0x4020_AE46, 0x5402],
      .loop: [0x4008_AE61, 0x4020_AE46, 0x4004_54D0, 0x5402],
      .main: [0x8090_AE81, 0x4008_AE61, 0x4020_AE46, 0x5402], .helper: [0x4008_AE61, 0x5402],
    ]
    // KVM_CREATE_VM, KVM_CREATE_VCPU, KVM_CREATE_DEVICE, KVM_SET_REGS, TUNSETIFF, TIOCSTI, TIOCLINUX, FICLONE, FS_IOC_SETFLAGS.
    let others: [UInt64] = [
      0xAE01, 0xAE41, 0xC00C_AEE0, 0x4090_AE82, 0x4004_54CA, 0x5412, 0x541C, 0x4004_9409, 0x4008_6602,
    ]
    for (kind, requests) in wanted {
      let filter = interpreter(kind)
      for request in requests {
        #expect(filter.allows(16, [3, request]), "\(kind): \(request)")
        // The kernel takes only the lower half as the request.
        #expect(filter.allows(16, [3, request | 1 << 63]), "\(kind): \(request)")
      }
      for request in others { #expect(!filter.allows(16, [3, request]), "\(kind): \(request)") }
    }
    #expect(!interpreter(.loop).allows(16, [3, 0xAE80]) && !interpreter(.vCPU).allows(16, [3, 0x4004_54D0]))
  }

  @Test("nothing becomes executable, signals stay in the process, and the handler of SIGSYS stays")
  func conditions() {
    for kind in ThreadKind.allCases {
      let filter = interpreter(kind)
      for number: UInt32 in [9, 10] {
        #expect(filter.allows(number, [0, 4096, 3]) && !filter.allows(number, [0, 4096, 5]))
        #expect(!filter.allows(number, [0, 4096, 4]) && !filter.allows(number, [0, 4096, 7]))
      }
      let process = UInt64(getpid())
      #expect(filter.allows(234, [process, 1, 9]))
      #expect(!filter.allows(234, [process + 1, 1, 9]) && !filter.allows(234, [1, 1, 9]))
      #expect(filter.allows(13, [11]) && !filter.allows(13, [31]))
      // F_SETFL and F_SETOWN.
      #expect(!filter.allows(72, [3, 4]) && !filter.allows(72, [3, 8]))
    }
    #expect(interpreter(.loop).allows(72, [3, 37]))
  }

  @Test("KVM_RUN, the one frequent call with a condition, takes eight instructions")
  func cost() {
    #expect(interpreter(.vCPU).run(16, [3, 0xAE80])?.steps == 8)
  }

  @Test("the numbers in the sources have the names that the kernel gives them")
  func names() throws {
    for call in SystemCall.allCases {
      let name = String(cString: try #require(clinux_system_call_name(UInt(call.rawValue))))
      let parts = name.split(separator: "_")
      let camelCase =
        parts.prefix(1).joined() + parts.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
      #expect("\(call)" == camelCase)
    }
    #expect(clinux_system_call_name(470) == nil && clinux_system_call_name(.max) == nil)
  }
}
