// swift-tools-version: 6.1
import PackageDescription

/// The layers of Docs/ReadingOrder.md: a target imports only what stands below it.
let package = Package(
  name: "swiftlet",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  ],
  targets: [
    .target(name: "CLinux", linkerSettings: [.linkedLibrary("aio")]),
    .target(name: "Failures"),
    .target(name: "Registers"),
    .target(name: "Counters", dependencies: ["CLinux"]),
    .target(name: "GuestMemory", dependencies: ["CLinux", "Failures"]),
    .target(name: "EventLoop", dependencies: ["CLinux", "Counters", "Failures"]),
    .target(name: "KVM", dependencies: ["GuestMemory", "EventLoop", "Counters", "CLinux", "Failures"]),
    .target(name: "Bus", dependencies: ["GuestMemory", "EventLoop", "Registers", "Counters", "Failures"]),
    .target(
      name: "Backends",
      dependencies: [
        "GuestMemory", "EventLoop", "Counters", "CLinux", "Failures",
        .product(name: "DequeModule", package: "swift-collections"),
      ]),
    .target(name: "Boot", dependencies: ["GuestMemory", "Registers", "Failures"]),
    .plugin(name: "GuestPlugin", capability: .buildTool(), dependencies: ["guest-build"], path: "Guests/Build/Plugin"),
    .executableTarget(name: "guest-build", path: "Guests/Build/Tool"),
    .target(name: "GuestImages", path: "Guests/Images", plugins: ["GuestPlugin"]),
    .target(
      name: "Devices",
      dependencies: ["Bus", "Backends", "Registers", .product(name: "DequeModule", package: "swift-collections")]),
    .target(
      name: "Machine",
      dependencies: [
        "Devices", "Backends", "Boot", "Bus", "KVM", "EventLoop", "GuestMemory", "Registers", "Counters", "Failures",
      ]),
    .target(
      name: "Measurement",
      dependencies: [
        "Machine", "Boot", "GuestImages", "Backends", "KVM", "EventLoop", "GuestMemory", "Counters", "Failures",
        "Registers", "CLinux",
      ]),
    .executableTarget(
      name: "swiftlet",
      dependencies: [
        "Measurement", "Machine", "Boot", "GuestImages", "CLinux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(
      name: "TestSupport",
      dependencies: [
        "Measurement", "Machine", "Boot", "GuestImages", "Devices", "Bus", "Backends", "KVM", "EventLoop",
        "GuestMemory", "Counters",
      ],
      path: "Tests/TestSupport"),
    .testTarget(name: "MachineTests", dependencies: ["Machine", "Measurement", "TestSupport"]),
    .testTarget(name: "MeasurementTests", dependencies: ["Measurement", "Registers", "TestSupport"]),
    .testTarget(name: "SwiftletTests", dependencies: ["TestSupport", "Registers", "CLinux", "swiftlet"]),
    .testTarget(name: "LinuxDiskTests", dependencies: ["Backends", "TestSupport"]),
    .testTarget(name: "LinuxNetTests", dependencies: ["Failures", "TestSupport"]),
    .testTarget(name: "KVMTests", dependencies: ["KVM", "TestSupport", "CLinux"]),
    .testTarget(name: "GuestMemoryTests", dependencies: ["GuestMemory", "Failures"]),
    .testTarget(name: "EventLoopTests", dependencies: ["EventLoop", "Counters", "Failures"]),
    .testTarget(name: "BusTests", dependencies: ["Bus", "TestSupport"]),
    .testTarget(name: "BootTests", dependencies: ["Boot", "GuestMemory", "Failures", "TestSupport"]),
    .testTarget(name: "BackendsTests", dependencies: ["Backends", "TestSupport", "CLinux"]),
    .testTarget(name: "OracleTests", dependencies: ["Devices", "Failures", "TestSupport"]),
    .testTarget(name: "DevicesTests", dependencies: ["Devices", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)
