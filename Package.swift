// swift-tools-version: 6.1
import PackageDescription

/// The layers of Docs/ReadingOrder.md: a target imports only targets of lower layers.
let package = Package(
  name: "swiftlet",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
  ],
  targets: [
    .target(name: "CLinux", linkerSettings: [.linkedLibrary("aio")]),
    .systemLibrary(name: "CHPCC", path: "Guests/HPCC/include"),
    .target(name: "Failures"),
    .target(name: "Registers"),
    .target(name: "Workload"),
    .target(name: "Threads", dependencies: ["CLinux", "Failures"]),
    .target(name: "Counters", dependencies: ["CLinux"]),
    .target(name: "GuestMemory", dependencies: ["CLinux", "Failures"]),
    .target(name: "Sandbox", dependencies: ["Threads", "CLinux", "Failures"]),
    .target(name: "EventLoop", dependencies: ["CLinux", "Counters", "Failures", "Threads"]),
    .target(name: "KVM", dependencies: ["GuestMemory", "Threads", "CLinux", "Failures"]),
    .target(name: "Bus", dependencies: ["EventLoop", "Threads", "Registers", "Counters", "CLinux", "Failures"]),
    .target(
      name: "Backends",
      dependencies: [
        "GuestMemory", "EventLoop", "Threads", "Counters", "CLinux", "Failures",
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(name: "Boot", dependencies: ["GuestMemory", "Registers", "Failures"]),
    .plugin(name: "GuestPlugin", capability: .buildTool(), dependencies: ["guest-build"], path: "Guests/Build/Plugin"),
    .executableTarget(name: "guest-build", path: "Guests/Build/Tool"),
    .target(name: "GuestImages", path: "Guests/Images", plugins: ["GuestPlugin"]),
    .target(
      name: "Devices",
      dependencies: [
        "Bus", "Backends", "EventLoop", "GuestMemory", "Threads", "Registers", "Counters", "CLinux", "Failures",
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(
      name: "Machine",
      dependencies: [
        "Devices", "Backends", "Boot", "Bus", "KVM", "EventLoop", "GuestMemory", "Threads", "Registers", "Counters",
        "CLinux", "Failures",
      ]),
    .target(
      name: "Measurement",
      dependencies: [
        "Machine", "Boot", "GuestImages", "Backends", "KVM", "EventLoop", "GuestMemory", "Threads", "Counters",
        "Failures", "Workload", "CHPCC", "CLinux",
      ]),
    .target(
      name: "Reporting",
      dependencies: ["Measurement", "Failures", .product(name: "Mustache", package: "swift-mustache")]),
    .executableTarget(
      name: "swiftlet",
      dependencies: [
        "Reporting", "Measurement", "Machine", "Boot", "GuestImages", "Backends", "KVM", "EventLoop", "Threads",
        "Counters", "Sandbox",
        "Failures",
        "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "escape-drill", dependencies: ["Sandbox", "Threads", "CLinux", "Failures"], path: "Tests/EscapeDrill"),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    .target(
      name: "DeviceSupport",
      dependencies: ["Backends", "Bus", "Counters", "Devices", "EventLoop", "GuestMemory"],
      path: "Tests/DeviceSupport"),
    .target(
      name: "FuzzedSettings",
      dependencies: [
        "Backends", "Failures", "Machine", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/FuzzedSettings"),
    .target(
      name: "Fuzzing",
      dependencies: [
        "Backends", "Boot", "Bus", "CLinux", "Counters", "DeviceSupport", "Devices", "EventLoop", "Failures",
        "FuzzedSettings", "GuestMemory", "Registers",
      ],
      path: "Tests/Fuzzing", exclude: ["Corpus", "Dictionaries"]),
    .target(
      name: "TestSupport",
      dependencies: [
        "CAllocations", "DeviceSupport",
        "Measurement", "Machine", "Boot", "GuestImages", "Devices", "Bus", "Backends", "KVM", "EventLoop",
        "GuestMemory", "Threads", "Counters", "Failures",
      ],
      path: "Tests/TestSupport"),
    .testTarget(
      name: "MachineTests",
      dependencies: [
        "Backends", "Boot", "Bus", "Counters", "EventLoop", "Failures", "GuestImages", "GuestMemory", "KVM", "Machine",
        "Measurement", "TestSupport", "Threads", "Workload",
      ]),
    .testTarget(
      name: "MeasurementTests",
      dependencies: [
        "Backends", "CHPCC", "Counters", "EventLoop", "Failures", "GuestImages", "GuestMemory", "KVM", "Machine",
        "Measurement", "TestSupport", "Threads", "Workload",
      ]),
    .testTarget(name: "ReportingTests", dependencies: ["Failures", "Measurement", "Reporting", "TestSupport"]),
    .testTarget(
      name: "SwiftletTests",
      dependencies: [
        "CLinux", "KVM", "Sandbox", "TestSupport", "Workload", "swiftlet",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .testTarget(name: "LinuxDiskTests", dependencies: ["Backends", "TestSupport"]),
    .testTarget(name: "LinuxNetTests", dependencies: ["Failures", "TestSupport"]),
    .testTarget(
      name: "KVMTests", dependencies: ["CLinux", "Failures", "GuestMemory", "KVM", "TestSupport", "Threads"]),
    .testTarget(
      name: "SandboxTests", dependencies: ["CLinux", "Failures", "Sandbox", "TestSupport", "Threads", "escape-drill"]),
    .testTarget(name: "GuestMemoryTests", dependencies: ["Failures", "GuestMemory"]),
    .testTarget(name: "ThreadsTests", dependencies: ["Threads"]),
    .testTarget(name: "EventLoopTests", dependencies: ["Counters", "EventLoop", "Failures", "TestSupport", "Threads"]),
    .testTarget(name: "BusTests", dependencies: ["Bus", "EventLoop", "TestSupport", "Threads"]),
    .testTarget(name: "BootTests", dependencies: ["Boot", "Failures", "GuestMemory", "TestSupport"]),
    .testTarget(
      name: "BackendsTests",
      dependencies: [
        "Backends", "CLinux", "Counters", "EventLoop", "Failures", "GuestMemory", "TestSupport", "Threads",
      ]),
    .testTarget(name: "FuzzingTests", dependencies: ["Fuzzing"]),
    .testTarget(
      name: "OracleTests",
      dependencies: ["Backends", "Bus", "Counters", "Devices", "EventLoop", "Failures", "GuestMemory", "TestSupport"]),
    .testTarget(
      name: "DevicesTests",
      dependencies: [
        "Backends", "Bus", "Counters", "Devices", "EventLoop", "GuestMemory", "Registers", "TestSupport", "Threads",
      ]),
  ],
  swiftLanguageModes: [.v6]
)

/// The fuzzer needs libFuzzer, which only a build with `-sanitize=fuzzer` links (Docs/Fuzzing.md).
if Context.environment["SWIFTLET_FUZZ"] != nil {
  package.targets += [
    .systemLibrary(name: "CFuzzer", path: "Tests/CFuzzer"),
    .executableTarget(name: "swiftlet-fuzz", dependencies: ["CFuzzer", "Fuzzing"], path: "Tests/FuzzingDriver"),
  ]
}
