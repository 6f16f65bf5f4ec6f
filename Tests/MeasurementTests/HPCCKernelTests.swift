import CHPCC
import Failures
import Foundation
import Testing

@testable import Measurement

@Suite("Kernels after HPCC, on threads of the host", .timeLimit(.minutes(10)))
struct HPCCKernelTests {
  private func host(_ load: HPCCBench.Load, threads: Int = 1) throws -> HostHPCC {
    try HostHPCC(threads: threads, load.command, duration: 1_000_000)
  }

  /// A load of each program that is small, and that up to four ranks can divide.
  static let loads: [HPCCBench.Load] =
    ["copy", "scale", "add", "triad"].map { .stream($0, elements: 4096) } + [
      .ring("ping-pong", bytes: 8), .ring("natural", bytes: 8), .ring("random", bytes: 200_000),
      .transpose(64), .linpack(128),
    ]

  @Test("each program computes and verifies with two and with four ranks", arguments: loads.indices, [2, 4])
  func ranks(load: Int, ranks: Int) throws {
    let host = try host(Self.loads[load], threads: ranks)
    defer { host.close() }
    for _ in 0..<2 {
      let sample = try host.sample()
      #expect(sample.operations > 0 && sample.bytes > 0 && sample.nanoseconds > 0)
      #expect((sample.values["p50"] != nil) == (Self.loads[load].experiment == .hpccLatency))
      #expect(sample.values["residual"].map { $0 < 16_000 } == true)
    }
  }

  @Test("two ranks that never sleep lose no message: each channel often has several", arguments: 0..<4)
  func stress(round: Int) throws {
    let host = try HostHPCC(threads: 2, HPCCBench.Load.ring("natural", bytes: 8).command, duration: 50_000_000)
    defer { host.close() }
    for _ in 0..<3 { #expect(try host.sample().operations > 0) }
  }

  @Test("one changed element of any array fails the check of STREAM", arguments: ["copy", "scale", "add", "triad"])
  func stream(kernel: String) throws {
    for array in [\hpcc_rank.a, \hpcc_rank.b, \hpcc_rank.c] {
      let host = try host(.stream(kernel, elements: 1024))
      defer { host.close() }
      try host.act(HPCC_PREPARE)
      try host.act(HPCC_RUN)
      try host.act(HPCC_VERIFY)
      try #require(host.ranks.pointee[keyPath: array])[777] += 1
      #expect(throws: Failure.self) { try host.act(HPCC_VERIFY) }
    }
  }

  @Test("without a run, the result of STREAM is wrong", arguments: ["copy", "scale", "add", "triad"])
  func unwritten(kernel: String) throws {
    let host = try host(.stream(kernel, elements: 1024))
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    #expect(throws: Failure.self) { try host.act(HPCC_VERIFY) }
  }

  @Test("PTRANS equals the naive A := Aᵀ + C, once for each round", arguments: [1, 2, 4])
  func transpose(ranks: Int) throws {
    let n = 48
    let host = try host(.transpose(n), threads: ranks)
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    func matrix(_ array: KeyPath<hpcc_rank, UnsafeMutablePointer<Double>?>) throws -> [Double] {
      try (0..<ranks).flatMap { rank in
        let start = try #require(host.ranks[rank][keyPath: array])
        return (0..<n / ranks * n).map { start[$0] }
      }
    }
    var a = try matrix(\.a)
    let c = try matrix(\.c)
    try host.act(HPCC_RUN)
    for _ in 0..<host.ranks.pointee.rounds_before {
      let old = a
      for i in 0..<n { for j in 0..<n { a[i * n + j] = old[j * n + i] + c[i * n + j] } }
    }
    #expect(try matrix(\.a) == a)
    try host.act(HPCC_VERIFY)
    try #require(host.ranks[ranks - 1].a)[5] += 1
    #expect(throws: Failure.self) { try host.act(HPCC_VERIFY) }
  }

  @Test("HPL solves as naive elimination does")
  func linpack() throws {
    let n = 96
    let host = try host(.linpack(n))
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    let start = try #require(host.ranks.pointee.a)
    var rows = (0..<n).map { i in (0...n).map { j in start[j * (n + 8) + i] } }
    for k in 0..<n {
      let pivot = try #require((k..<n).max { abs(rows[$0][k]) < abs(rows[$1][k]) })
      rows.swapAt(k, pivot)
      for i in k + 1..<max(n, k + 1) {
        let factor = rows[i][k] / rows[k][k]
        for j in k...n { rows[i][j] -= factor * rows[k][j] }
      }
    }
    var x = [Double](repeating: 0, count: n)
    for i in (0..<n).reversed() {
      x[i] = (i + 1..<n).reduce(rows[i][n]) { $0 - rows[i][$1] * x[$1] } / rows[i][i]
    }
    try host.act(HPCC_RUN)
    let found = try #require(host.ranks.pointee.c)
    for i in 0..<n { #expect(abs(found[i] - x[i]) < 1e-9 * (1 + abs(x[i]))) }
  }

  @Test("HPL solves a known matrix that needs a swap in each column")
  func swaps() throws {
    let n = 64
    let host = try host(.linpack(n))
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    let a = try #require(host.ranks.pointee.a)
    for place in 0..<(n + 1) * (n + 8) { a[place] = 0 }
    // Row i has only x[i + 1], with the factor i + 1. The solution is x[j] = j.
    for i in 0..<n {
      a[(i + 1) % n * (n + 8) + i] = Double(i + 1)
      a[n * (n + 8) + i] = Double((i + 1) * ((i + 1) % n))
    }
    try host.act(HPCC_RUN)
    let x = try #require(host.ranks.pointee.c)
    for j in 0..<n { #expect(x[j] == Double(j)) }
  }

  @Test("HPL refuses a singular matrix", arguments: [1, 2])
  func singular(ranks: Int) throws {
    let n = 64
    let host = try host(.linpack(n), threads: ranks)
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    // The second block of columns is on the last rank.
    let a = try #require(host.ranks[ranks - 1].a)
    let column = (ranks == 1 ? 40 : 8) * (n + 8)
    for i in 0..<n { a[column + i] = 0 }
    let failure = try #require(throws: Failure.self) { try host.act(HPCC_RUN) }
    #expect(failure.cause.contains("a singular matrix on rank \(ranks - 1)"))
  }

  @Test("a slightly wrong solution has a residual above 16", arguments: [1, 2])
  func residual(ranks: Int) throws {
    let host = try host(.linpack(128), threads: ranks)
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    try host.act(HPCC_RUN)
    try host.act(HPCC_VERIFY)
    #expect((1..<16_000).contains(host.ranks.pointee.result.residual))
    for rank in 0..<ranks { try #require(host.ranks[rank].c)[3] *= 1 + 1e-9 }
    let failure = try #require(throws: Failure.self) { try host.act(HPCC_VERIFY) }
    #expect(failure.cause.contains("a wrong result"))
    #expect(host.ranks.pointee.result.residual > 16_000)
  }

  @Test("a message of a ring that differs in one word fails the check")
  func ringContent() throws {
    let host = try host(.ring("natural", bytes: 4096), threads: 2)
    defer { host.close() }
    try host.act(HPCC_PREPARE)
    try host.act(HPCC_RUN)
    try host.act(HPCC_VERIFY)
    try #require(host.ranks[1].b)[100] = 0
    #expect(throws: Failure.self) { try host.act(HPCC_VERIFY) }
  }

  @Test("sizes that ranks cannot divide, and a ring of one, are refused")
  func usage() throws {
    for (load, ranks): (HPCCBench.Load, Int) in [
      (.stream("copy", elements: 1001), 2), (.transpose(65), 2), (.linpack(100), 1), (.linpack(0), 1),
      (.ring("natural", bytes: 8), 1), (.ring("natural", bytes: 12), 2),
    ] {
      let failure = try #require(throws: Failure.self) { try host(load, threads: ranks) }
      #expect(failure.cause.contains("does not support"), "\(load.words)")
    }
  }
}
