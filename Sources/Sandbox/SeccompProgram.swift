import CLinux

/// A seccomp filter: a program of classic BPF that the kernel runs at each system call (Documentation/userspace-api/
/// seccomp_filter.rst and Documentation/networking/filter.rst of Linux).
///
/// The program compares the call's number with each permission, in their order. So the most frequent calls that have a
/// condition come first. Calls without one cost nothing: since Linux 5.11 the kernel notes which calls a filter always
/// allows, and does not run it for them.
public struct SeccompProgram: Sendable {
  public private(set) var instructions: [sock_filter] = []

  /// Offsets in struct seccomp_data. An argument is 64-bit, and its lower half comes first.
  private enum Field {
    static let number: UInt32 = 0
    static let architecture: UInt32 = 4
    static func argument(_ index: Int) -> UInt32 { UInt32(16 + 8 * index) }
  }
  private enum Code {
    /// BPF_LD | BPF_W | BPF_ABS: loads a word of struct seccomp_data.
    static let load: UInt16 = 0x20
    /// BPF_JMP with BPF_JEQ, BPF_JGE or BPF_JSET, against the constant.
    static let jumpIfEqual: UInt16 = 0x15
    static let jumpIfNotBelow: UInt16 = 0x35
    static let jumpIfAnyBit: UInt16 = 0x45
    /// BPF_RET: ends the program with the constant.
    static let result: UInt16 = 0x06
  }
  /// AUDIT_ARCH_X86_64.
  private static let architecture: UInt32 = 0xC000_003E
  /// The lowest number of an x32 call. On x86-64 they have the same architecture.
  private static let firstX32: UInt32 = 0x4000_0000
  private static let allow: UInt32 = 0x7FFF_0000  // SECCOMP_RET_ALLOW
  private let refusal: UInt32

  /// A filter that allows `permissions`. For every other call the kernel sends SIGSYS, with `tag` in `si_errno`.
  public init(_ permissions: [Permission], tag: UInt16) {
    refusal = 0x0003_0000 | UInt32(tag)  // SECCOMP_RET_TRAP
    add(Code.load, Field.architecture)
    add(Code.jumpIfEqual, Self.architecture, then: 1)
    add(Code.result, refusal)
    add(Code.load, Field.number)
    add(Code.jumpIfNotBelow, Self.firstX32, otherwise: 1)
    add(Code.result, refusal)
    for permission in permissions {
      let decision = Self.decision(permission.condition, refusal: refusal)
      add(Code.jumpIfEqual, permission.call.rawValue, otherwise: UInt8(decision.count))
      instructions += decision
    }
    add(Code.result, refusal)
  }

  /// Jumps over `then` or `otherwise` instructions.
  private static func instruction(
    _ code: UInt16, _ constant: UInt32, then: UInt8 = 0, otherwise: UInt8 = 0
  ) -> sock_filter {
    sock_filter(code: code, jt: then, jf: otherwise, k: constant)
  }

  private mutating func add(_ code: UInt16, _ constant: UInt32, then: UInt8 = 0, otherwise: UInt8 = 0) {
    instructions.append(Self.instruction(code, constant, then: then, otherwise: otherwise))
  }

  /// The instructions that decide about a call whose number fits. None of them falls through.
  private static func decision(_ condition: Permission.Condition, refusal: UInt32) -> [sock_filter] {
    switch condition {
    case .always: return [instruction(Code.result, allow)]
    case .isOneOf(argument: let index, let values):
      // The jump for value n passes the comparisons behind it and the refusal.
      let comparisons = values.enumerated().map { place, value in
        instruction(Code.jumpIfEqual, value, then: UInt8(values.count - place))
      }
      return [instruction(Code.load, Field.argument(index))] + comparisons
        + [instruction(Code.result, refusal), instruction(Code.result, allow)]
    case .isNot(argument: let index, let value):
      return refuse(if: Code.jumpIfEqual, index, value, refusal)
    case .hasNone(argument: let index, let bits):
      return refuse(if: Code.jumpIfAnyBit, index, bits, refusal)
    }
  }

  private static func refuse(
    if comparison: UInt16, _ index: Int, _ constant: UInt32, _ refusal: UInt32
  ) -> [sock_filter] {
    [
      instruction(Code.load, Field.argument(index)), instruction(comparison, constant, then: 1),
      instruction(Code.result, allow), instruction(Code.result, refusal),
    ]
  }
}
