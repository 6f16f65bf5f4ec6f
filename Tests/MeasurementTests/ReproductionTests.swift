import EventLoop
import Failures
import Foundation
import Glibc
import KVM
import TestSupport
import Testing
import Threads

@testable import Measurement

@Suite("reproduce on /dev/kvm", .serialized, .needsKVM, .timeLimit(.minutes(10)))
struct ReproductionTests {
  private static func options(_ experiments: [ReproductionOptions.Experiment]) -> ReproductionOptions {
    var options = ReproductionOptions(
      experiments, size: .quick, directory: FileManager.default.temporaryDirectory.path, processors: 2)
    options.repetitions = 2
    options.duration = 20_000_000
    options.networkDuration = 20_000_000
    options.diskSpan = 4 << 20
    options.amplificationSpan = 16 << 20
    options.blocks = [512, 4 << 20]
    options.frames = [1514, NetworkBench.messageFrame]
    return options
  }

  private func run(_ options: ReproductionOptions, known: [Record] = [], room: HostRoom? = nil) throws
    -> Reproduction.State
  {
    let reproduction = try Reproduction(options, known: known, room: room, system: System()) { _ in }
    try reproduction.run()
    return reproduction.state
  }

  /// The records' sides as text: experiment, mode, and the parameters that vary.
  private func names(_ records: [Record]) -> [String] {
    records.map { record in
      let parameters = record.parameters
      let varied: [String?] = [
        parameters.blockBytes.map { "\($0) B" }, parameters.frameBytes.map { "\($0) B" },
        parameters.vCPUs.flatMap { $0 > 1 ? "\($0) vCPUs" : nil }, parameters.vms.map { "\($0) VMs" },
        parameters.direction, parameters.backend, parameters.cache, parameters.profile,
      ]
      return ([record.experiment.rawValue, record.mode.rawValue] + varied.compactMap { $0 }).joined(separator: " ")
    }
  }

  @Test("cpu: one VM with 1 and 2 vCPUs and 1 and 2 VMs, each beside as many threads of the host")
  func cpu() throws {
    let state = try run(Self.options([.cpu]))
    #expect(
      names(state.records) == [
        "cpu host", "cpu guest", "cpu host 2 vCPUs", "cpu guest 2 vCPUs", "cpu host 1 VMs", "cpu guest 1 VMs",
        "cpu host 2 VMs", "cpu guest 2 VMs",
      ])
    #expect(state.records.allSatisfy { $0.rawSamples?.count == 2 && $0.throughput?.samples.count == 2 })
    #expect(state.records.last?.fairness.map { $0.jain > 0.5 } == true)
    #expect(state.progress.done == 16 && state.progress.total == 16 && state.progress.secondsLeft == 0)
    #expect(state.skipped == [] && state.failures == [])
  }

  @Test("disk-write: each cache mode, and FV and PV as in 2009; a block of 512 bytes and one of 4 MiB")
  func diskWrites() throws {
    let state = try run(Self.options([.diskWrite]))
    let names = names(state.records)
    let direct = ["512 B", "4194304 B"].flatMap { block in
      ["host", "FV", "PV"].map { "disk-write \($0) \(block) file none" }
    }
    #expect(names.prefix(6) == direct[...])
    for cache in ["writeback", "writethrough", "unsafe"] {
      #expect(names.filter { $0.hasSuffix(cache) }.count == 3)
    }
    #expect(state.failures == [] && state.skipped == [])
    var options = Self.options([.diskWrite])
    (options.blocks, options.cachedBlocks) = ([65_536], [])
    let old = try run(options).records.filter { $0.parameters.profile == "2009" }
    #expect(old.map(\.mode) == [.fullVirtualization, .paravirtualization])
    // Without ioeventfds, each request of virtio-blk exits.
    #expect(old[1].perOperation.exits.map { $0 > 0.9 } == true)
  }

  @Test("disk-amplification: with O_DIRECT, all bytes are on the device by the guest's last flush")
  func amplification() throws {
    let state = try run(Self.options([.diskAmplification]))
    #expect(state.failures == [] && state.records.count == 9)
    for record in state.records {
      let name = "\(record.mode) \(record.parameters.cache ?? "")"
      #expect(record.throughput?.unit == "bytes per byte")
      let share = try #require(record.durableShare, "\(name)")
      guard record.parameters.cache == "none" else { continue }
      // More only if other programs write to the same disk.
      #expect(share >= 1, "\(name)")
      #expect(record.throughput.map { $0.mean >= 1 } == true, "\(name)")
    }
  }

  @Test("net-remote and net-inter-vm: both directions over the switch and over taps, beside the host's own stream")
  func network() throws {
    let state = try run(Self.options([.netInterVM, .netRemote]))
    #expect(state.failures == [])
    let records = state.records
    for direction in ["send", "receive"] {
      for (backend, count) in [("switch", 10), ("tap", 6)] {
        let rows = records.filter { $0.parameters.direction == direction && $0.parameters.backend == backend }
        #expect(Set(rows.map(\.mode)) == [.host, .fullVirtualization, .paravirtualization])
        #expect(Set(rows.map { $0.parameters.frameBytes }) == [1514, 16_114])
        #expect(rows.count == count)
      }
    }
    #expect(records.filter { $0.experiment == .netInterVM }.count == 9)
    #expect(records.allSatisfy { $0.drops == [:] })
  }

  @Test("without permission for namespaces, the rows over taps are left out, with the reason")
  func withoutTaps() throws {
    var options = Self.options([.netInterVM])
    options.unshare = {
      errno = EPERM
      return -1
    }
    let state = try run(options)
    #expect(state.records.allSatisfy { $0.parameters.backend == "switch" } && state.records.count == 6)
    #expect(state.skipped.map(\.experiment) == ["net-inter-vm"])
    #expect(state.skipped.first?.reason.contains("CAP_SYS_ADMIN") == true)
  }

  @Test(
    "net-scale: four VMs at a time stream with an endpoint each, in both directions, and none gets another's frames")
  func scale() throws {
    let state = try run(Self.options([.netScale]))
    #expect(state.failures == [])
    #expect(state.records.map { $0.parameters.vms } == [1, 1, 4, 4, 1, 1, 4, 4])
    for record in state.records where record.parameters.vms == 4 {
      #expect(record.fairness.map { $0.jain > 0.25 && $0.worstShare > 0 } == true)
    }
  }

  @Test("over taps, each VM of net-scale and net-inter-vm is a process of its own, which ends with the row", .needsTaps)
  func processes() throws {
    var options = Self.options([.netInterVM, .netScale])
    options.executable = BuiltProduct.swiftlet.path
    options.frames = [1514]
    options.vmCounts = []
    options.processCounts = [3]
    let state = try run(options)
    #expect(state.failures == [] && state.skipped == [])
    let own = state.records.filter { $0.parameters.processes != nil && $0.mode != .host }
    #expect(own.map(\.experiment) == [.netInterVM, .netInterVM] + Array(repeating: .netScale, count: 4))
    for record in own {
      #expect(record.parameters.backend == "tap" && record.parameters.processes == record.parameters.vms)
      #expect(record.operations > 0 && record.perOperation.exits == nil)
      #expect(record.cpuSeconds.vCPU > 0 && record.cpuSeconds.io > 0)
      if record.experiment == .netScale { #expect(record.fairness.map { $0.worstShare > 0 } == true) }
    }
    #expect(try Self.machineProcesses() == [])
  }

  /// The command lines of VMs that this process has started and not waited for. Other tests start other children.
  private static func machineProcesses() throws -> [String] {
    let children = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").flatMap { thread in
      ((try? String(contentsOfFile: "/proc/self/task/\(thread)/children", encoding: .utf8)) ?? "").split(separator: " ")
    }
    return children.map { (try? String(contentsOfFile: "/proc/\($0)/cmdline", encoding: .utf8)) ?? "" }
      .filter { $0.contains("backend=tap,fd=3") }
  }

  @Test("the kernels after HPCC: a row has the host, one VM with two vCPUs, and two VMs over both NICs")
  func cluster() throws {
    let state = try run(Self.options([.hpccLinpack]))
    #expect(state.failures == [])
    #expect(state.records.map(\.mode) == [.host, .guest, .fullVirtualization, .paravirtualization])
    #expect(Set(state.records.map(\.parameters)).count == 1)
    #expect(state.records.allSatisfy { $0.parameters.ranks == 2 && $0.throughput?.unit == "flop/s" })
  }

  @Test("fairness alone has disks, processors and networks of four VMs; their own experiments are not measured twice")
  func fairness() throws {
    let alone = try run(Self.options([.fairness]))
    #expect(alone.failures == [])
    #expect(Set(alone.records.map(\.experiment)) == [.fairness, .cpu, .netScale])
    #expect(
      alone.records.filter { $0.mode != .host }.allSatisfy { $0.fairness != nil && $0.parameters.vms == 4 })
    let loop = try EventLoop()
    loop.start()
    defer { loop.stop() }
    let planner = ReproductionPlanner(
      options: Self.options([.cpu, .netScale, .fairness]), room: HostRoom(memory: .max, disk: .max),
      system: try System(), loop: loop)
    let plan = try planner.plan(.fairness)
    defer { plan.close() }
    #expect(plan.points.map(\.experiment) == [.fairness])
  }

  @Test("an experiment that the host has no room for is skipped with the reason; the rest is measured")
  func room() throws {
    let small = try run(Self.options([.cpu, .diskAmplification]), room: HostRoom(memory: .max, disk: 1 << 20))
    #expect(Set(small.records.map(\.experiment)) == [.cpu])
    #expect(small.skipped.map(\.experiment) == ["disk-amplification"])
    #expect(small.skipped.first?.reason.contains("48 MiB, and 1 MiB are free") == true)
    let full = try run(Self.options([.cpu]), room: HostRoom(memory: 1 << 20, disk: .max))
    #expect(full.records.isEmpty && full.skipped.first?.reason.contains("of memory") == true)
  }

  @Test("samples of an earlier run are kept, also of other experiments; only the missing ones are taken")
  func continued() throws {
    var first = Self.options([.cpu])
    first.repetitions = 1
    let known = try run(first).records
    var other = known[0]
    other.experiment = .memcpy
    let state = try run(Self.options([.cpu]), known: known + [other])
    #expect(state.records.count == known.count + 1)
    for (old, new) in zip(known, state.records) {
      #expect(new.rawSamples?.count == 2)
      #expect(new.throughput?.samples.first == old.throughput?.samples.first)
    }
    #expect(state.records.last?.experiment == .memcpy)
    #expect(state.progress.done == 16)
    // Nothing is missing now.
    let again = try run(Self.options([.cpu]), known: state.records)
    #expect(again.records.map { $0.throughput?.samples } == state.records.map { $0.throughput?.samples })
  }

  @Test("an interrupted run keeps its samples")
  func interrupted() throws {
    let interruption = Interruption()
    let reproduction = try Reproduction(Self.options([.cpu]), system: System(), interruption: interruption) { state in
      if state.progress.done == 3 { interruption.request() }
    }
    #expect(throws: Interrupted.self) { try reproduction.run() }
    #expect(reproduction.state.records.map { $0.rawSamples?.count } == [2, 1])
    #expect(reproduction.state.failures == [])
  }

  @Test("an interruption ends a guest's sample that would take ten minutes")
  func longSample() throws {
    var options = Self.options([.netScale])
    options.networkDuration = 600_000_000_000
    let interruption = Interruption()
    let begun = Latch()
    let reproduction = try Reproduction(options, system: System(), interruption: interruption) { _ in begun.open() }
    let thread = BackgroundThread {
      begun.wait()
      // The guest boots in a fraction of this.
      usleep(500_000)
      interruption.request()
    }
    thread.start()
    #expect(throws: Interrupted.self) { try reproduction.run() }
    thread.join()
    #expect(reproduction.state.records.isEmpty && reproduction.state.failures == [])
  }

  @Test("a result that cannot be saved ends the run, and is not the point's failure")
  func unsaved() throws {
    let reproduction = try Reproduction(Self.options([.cpu]), system: System()) { state in
      if state.progress.done == 1 { throw Failure("write a report", cause: "the disk is full") }
    }
    #expect(throws: Failure.self) { try reproduction.run() }
    #expect(reproduction.state.failures == [] && reproduction.state.progress.done == 1)
  }

  @Test("a point whose guest fails is reported with the guest's reason; the others are measured")
  func failure() throws {
    var options = Self.options([.cpu])
    options.repetitions = 1
    // The guest's program takes 16 threads at most.
    options.cpuCounts = [1, 17]
    let state = try run(options)
    #expect(state.failures.map(\.title) == ["CPU, 17 threads"])
    #expect(state.failures.first?.cause.contains("threads= must be 1 to 16") == true)
    #expect(names(state.records).contains("cpu guest 17 VMs"))
    #expect(state.progress.done == state.progress.total)
  }
}
