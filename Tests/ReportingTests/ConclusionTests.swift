import Measurement
import Testing

@testable import Reporting

@Suite("Conclusions follow from the numbers, and say nothing where intervals overlap")
struct ConclusionTests {
  private typealias Side = SampleReport.Side

  private func sentences(_ rule: Conclusions.Rule, _ sides: [SampleReport.Side], kvm: String = "pvm") throws -> [String]
  {
    rule(Evidence(try SampleReport.report(sides, kvm: kvm))).map(\.text)
  }

  /// Samples with this mean, whose interval by t(2) is 2.5 % of it for each percent of `spread`.
  private func around(_ mean: Double, spread: Double = 0.1) -> [Double] {
    [mean * (1 - spread / 100), mean, mean * (1 + spread / 100)]
  }

  private func cpu(_ guest: Double, spread: Double = 0.1) -> [SampleReport.Side] {
    [("host", 1000), ("guest", guest)].map { mode, rate in
      Side(
        experiment: "cpu", mode: mode, samples: around(rate, spread: spread), unit: "operations/s",
        parameters: ["vCPUs": 1])
    }
  }

  @Test("the overhead of a guest that computes: below 2 %, above it, or not known")
  func overhead() throws {
    #expect(try sentences(Conclusions.overhead, cpu(995)).first?.contains("below 2\u{A0}%") == true)
    #expect(try sentences(Conclusions.overhead, cpu(900)).first?.contains("above the paper's 2\u{A0}%") == true)
    #expect(try sentences(Conclusions.overhead, cpu(980)).isEmpty)
    #expect(try sentences(Conclusions.overhead, cpu(995, spread: 5)).isEmpty)
    let two = cpu(1000).map { side in
      var side = side
      side.parameters = ["vCPUs": 1, "vms": 2]
      return side
    }
    #expect(
      try sentences(Conclusions.overhead, cpu(990) + two).first?.hasPrefix(
        "With 1 vCPU and 2 VMs, the guest reaches 0.99 to 1.00")
        == true)
  }

  private func pair(
    _ experiment: String, _ full: Double, _ para: Double, spread: Double = 0.1, unit: String = "bytes/s",
    parameters: [String: Any] = [:]
  ) -> [SampleReport.Side] {
    [("FV", full), ("PV", para)].map { mode, mean in
      Side(
        experiment: experiment, mode: mode, samples: around(mean, spread: spread), unit: unit, parameters: parameters,
        exits: mode == "FV" ? 4 : 0)
    }
  }

  @Test("the faster of FV and PV, with the kind of KVM")
  func fullAgainstPara() throws {
    let rule = Conclusions.fullAgainstPara
    #expect(
      try sentences(rule, pair("disk-read", 50, 100)) == [
        "On this software KVM (pvm), PV is faster than FV: FV reaches 0.50 of the speed of PV."
      ])
    #expect(
      try sentences(rule, pair("disk-read", 100, 50), kvm: "vmx") == [
        "On this KVM with VT-x (vmx), FV is faster than PV: FV reaches 2.00 of the speed of PV."
      ])
    #expect(try sentences(rule, pair("disk-read", 95, 100, spread: 5)).isEmpty)
    // A shorter time is faster.
    #expect(
      try sentences(rule, pair("net-latency", 60_000, 20_000, unit: "ns"), kvm: "svm") == [
        "On this KVM with AMD-V (svm), PV is faster than FV: FV reaches 0.33 of the speed of PV."
      ])
    let several = [512, 1024, 2048].flatMap { block in
      pair("disk-read", block == 2048 ? 100 : 50, 100, parameters: ["blockBytes": block])
    }
    #expect(try sentences(rule, several).first?.contains("at 512 B and 1 KiB:") == true)
  }

  @Test("without samples there is no interval, and no sentence")
  func singleSample() throws {
    let sides = ["FV", "PV"].map { Side(experiment: "disk-read", mode: $0, samples: [$0 == "FV" ? 1 : 100]) }
    #expect(Conclusions.all(Evidence(try SampleReport.report(sides))).isEmpty)
  }

  private func beside(_ experiment: String, host: Double, para: Double, spread: Double = 0.1) -> [SampleReport.Side] {
    [("host", host), ("PV", para)].map { mode, mean in
      Side(
        experiment: experiment, mode: mode, samples: around(mean, spread: spread),
        parameters: ["blockBytes": 4096, "frameBytes": 1514])
    }
  }

  @Test("a disk that writes faster than the host")
  func durability() throws {
    let rule = Conclusions.durability
    #expect(
      try sentences(rule, beside("disk-write", host: 100, para: 150)).first?.contains("faster than the host") == true)
    #expect(try sentences(rule, beside("disk-write", host: 100, para: 90)).isEmpty)
    #expect(try sentences(rule, beside("disk-write", host: 100, para: 105, spread: 5)).isEmpty)
  }

  @Test("bytes that reach the disk: more than written, no more, or not known")
  func amplification() throws {
    func sides(_ mean: Double, spread: Double = 0.1, unit: String = "bytes per byte") -> [SampleReport.Side] {
      [Side(experiment: "disk-amplification", mode: "PV", samples: around(mean, spread: spread), unit: unit)]
    }
    let rule = Conclusions.amplification
    #expect(try sentences(rule, sides(1.7)).first?.hasPrefix("With PV, 1.70 (1.70 to 1.70) bytes reach") == true)
    #expect(try sentences(rule, sides(1)).first?.hasPrefix("With PV, no more reaches the disk") == true)
    #expect(try sentences(rule, sides(1.05, spread: 5)).isEmpty)
    #expect(try sentences(rule, sides(1.7, unit: "bytes")).isEmpty)
  }

  private func write(_ mode: String, _ rate: Double, _ more: [String: Any], spread: Double = 0.1) -> SampleReport.Side {
    Side(
      experiment: "disk-write", mode: mode, samples: around(rate, spread: spread),
      parameters: ["blockBytes": 65_536, "cache": "none", "interrupts": "irq"].merging(more) { $1 })
  }

  @Test("a disk that ignores flushes, against the host's durable writes")
  func ignoredFlushes() throws {
    func sides(_ rate: Double, spread: Double = 0.1) -> [SampleReport.Side] {
      [write("host", 100, [:]), write("PV", 60, [:]), write("PV", rate, ["cache": "unsafe"], spread: spread)]
    }
    let rule = Conclusions.ignoredFlushes
    #expect(
      try sentences(rule, sides(150)).first?.hasPrefix("With cache=unsafe, PV writes 64 KiB 1.50 (1.49 to 1.51) times")
        == true)
    #expect(try sentences(rule, sides(90)).isEmpty)
    #expect(try sentences(rule, sides(110, spread: 10)).isEmpty)
    #expect(try sentences(rule, Array(sides(150).dropFirst())).isEmpty)
  }

  @Test("what the accelerations since 2009 bring, and that the old guest polls")
  func since2009() throws {
    func sides(_ old: Double, spread: Double = 0.1) -> [SampleReport.Side] {
      [
        write("FV", 100, ["disabled": ["polling"]]),
        write("FV", old, ["profile": "2009", "disabled": ["polling", "irqfd"], "interrupts": "poll"], spread: spread),
      ]
    }
    let rule = Conclusions.since2009
    #expect(
      try sentences(rule, sides(50)) == [
        "On this software KVM (pvm), 64 KiB: the accelerations since 2009 make FV faster, 2.00 (1.99 to 2.01) times as "
          + "fast. The old guest polls instead of waiting for interrupts."
      ])
    #expect(try sentences(rule, sides(200)).first?.contains("make FV slower, 0.50") == true)
    #expect(try sentences(rule, sides(100, spread: 5)).isEmpty)
    #expect(try sentences(rule, Array(sides(50).dropFirst())).isEmpty)
  }

  @Test("points of several conditions are named with them")
  func conditions() throws {
    let sides = ["irq", "poll"].flatMap { interrupts in
      pair("disk-read", 50, 100, parameters: ["blockBytes": 4096, "interrupts": interrupts])
    }
    let text = try sentences(Conclusions.fullAgainstPara, sides).first
    #expect(text?.contains("at 4 KiB and 4 KiB (guests poll): FV") == true, "\(text ?? "")")
  }

  @Test("virtio's network against the host's stream")
  func againstHost() throws {
    let rule = Conclusions.againstHost
    #expect(
      try sentences(rule, beside("net-inter-vm", host: 100, para: 150)).first?.contains("more than the host") == true)
    #expect(
      try sentences(rule, beside("net-inter-vm", host: 100, para: 50)).first?.contains("less than the host") == true)
    #expect(try sentences(rule, beside("net-inter-vm", host: 100, para: 102, spread: 5)).isEmpty)
  }

  @Test("requests in flight")
  func queueing() throws {
    func sides(_ deep: Double, spread: Double = 0.1) -> [SampleReport.Side] {
      [(1, 100), (32, deep)].map { depth, mean in
        Side(
          experiment: "disk-random-read", mode: "PV", samples: around(mean, spread: spread),
          parameters: ["queueDepth": depth])
      }
    }
    #expect(
      try sentences(Conclusions.queueing, sides(400)).first?.hasPrefix("With 32 requests in flight, PV reads 4.00")
        == true)
    #expect(try sentences(Conclusions.queueing, sides(100)).isEmpty)
    #expect(try sentences(Conclusions.queueing, sides(110, spread: 5)).isEmpty)
  }

  @Test("exits of emulated hardware, if it has more at each point")
  func exitCounts() throws {
    let sides = pair("disk-write", 50, 100)
    #expect(try sentences(Conclusions.exitCounts, sides).first?.contains("4.00 times") == true)
    var equal = sides
    equal[0].exits = 0.4
    #expect(try sentences(Conclusions.exitCounts, equal).isEmpty)
    equal[1].exits = nil
    #expect(try sentences(Conclusions.exitCounts, equal).isEmpty)
  }

  private func machines(_ total: Double, worst: Double, spread: Double = 0.1) -> [SampleReport.Side] {
    [(2, 100), (8, total)].map { count, mean in
      Side(
        experiment: "net-scale", mode: "PV", samples: around(mean, spread: spread), parameters: ["vms": count],
        fairness: (0.99, worst))
    }
  }

  @Test("the total of several machines")
  func scaling() throws {
    #expect(try sentences(Conclusions.scaling, machines(200, worst: 0.9)).first?.contains("8 VMs move more") == true)
    #expect(try sentences(Conclusions.scaling, machines(50, worst: 0.9)).first?.contains("8 VMs move less") == true)
    #expect(try sentences(Conclusions.scaling, machines(105, worst: 0.9, spread: 5)).isEmpty)
    // A direction is compared with itself only.
    let sides = [("send", 2, 100.0), ("receive", 2, 50), ("send", 8, 100), ("receive", 8, 100)].map {
      direction, count, mean in
      Side(
        experiment: "net-scale", mode: "PV", samples: around(mean), parameters: ["vms": count, "direction": direction])
    }
    #expect(
      try sentences(Conclusions.scaling, sides) == [
        "With PV, 8 VMs receive more in total than 2 VMs: 2.00 (1.99 to 2.01) times as much."
      ])
  }

  @Test("fair shares")
  func fairness() throws {
    #expect(try sentences(Conclusions.fairness, machines(200, worst: 0.9)).first?.contains("fairly") == true)
    #expect(try sentences(Conclusions.fairness, machines(200, worst: 0.5)).isEmpty)
  }

  private func costs(_ rate: Double, spread: Double = 0.1) -> [SampleReport.Side] {
    [("exit", rate), ("kick", 200_000), ("coalesced", 250_000)].map { access, rate in
      Side(
        experiment: "exit-cost", mode: "guest", samples: around(rate, spread: spread), unit: "operations/s",
        parameters: ["access": access])
    }
  }

  @Test("an exit that costs much more than on hardware")
  func exitCost() throws {
    #expect(try sentences(Conclusions.exitCost, costs(40_000)).first?.contains("25.0 ± ") == true)
    #expect(try sentences(Conclusions.exitCost, costs(900_000), kvm: "vmx").isEmpty)
    #expect(try sentences(Conclusions.exitCost, costs(190_000, spread: 5)).isEmpty)
  }

  @Test("the model's check")
  func model() throws {
    func sides(_ after: Double, spread: Double = 0.1) -> [SampleReport.Side] {
      costs(20_000)
        + [(0, 10_000.0), (4, after)].map { extra, rate in
          Side(
            experiment: "exit-model", mode: "FV", samples: around(rate, spread: spread), unit: "operations/s",
            parameters: ["extraExits": extra], exits: Double(extra))
        }
    }
    // 100 us, and 4 exits of 50 us. The sample's counts lack coalesced writes, so there is no check.
    #expect(try sentences(Conclusions.model, sides(3333)).isEmpty)
    var object = SampleReport.object(sides(3333))
    var results = object["results"] as? [[String: Any]] ?? []
    for index in results.indices {
      let exits = (results[index]["perOperation"] as? [String: Double])?["exits"] ?? 0
      results[index]["perOperation"] = ["exits": exits, "kernelExits": exits, "coalesced": 0.0]
    }
    object["results"] = results
    let found = Conclusions.model(Evidence(try SampleReport.report(object)))
    #expect(found.first?.text.contains("1 of 1 cases") == true)
  }

  @Test("which VMM is faster with the same device")
  func peer() throws {
    func sides(_ peer: Double, spread: Double = 0.1) -> [SampleReport.Side] {
      [("swiftlet", 100), ("qemu", peer)].map { vmm, mean in
        Side(experiment: "disk-read", mode: "PV", samples: around(mean, spread: spread), vmm: vmm)
      }
    }
    #expect(try sentences(Conclusions.peer, sides(50)).first?.contains("faster at 1 and slower at 0 of 1") == true)
    #expect(try sentences(Conclusions.peer, sides(102, spread: 5)).isEmpty)
  }

  @Test("no sentence that compares FV with PV lacks the kind of KVM")
  func kind() throws {
    for kvm in ["pvm", "vmx", "svm", "unknown"] {
      let report = try SampleReport.full {
        var host = $0["host"] as? [String: Any] ?? [:]
        host["kvm"] = kvm
        $0["host"] = host
      }
      let sentences = Conclusions.all(Evidence(report)).map(\.text).filter { $0.contains("FV") && $0.contains("PV") }
      #expect(sentences.count == 3, "disks, two machines, and latency")
      #expect(sentences.allSatisfy { $0.contains("KVM") && $0.contains(kvm) }, "\(sentences)")
    }
  }
}
