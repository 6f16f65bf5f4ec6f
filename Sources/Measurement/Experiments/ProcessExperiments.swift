import Foundation

/// What a VMM costs as a process: its start, and its memory. Both run `swiftlet` itself again.
func processPoints(_ options: ComparisonOptions, peer: Peer?) throws -> [Point] {
  guard let executable = options.executable else { return [] }
  var parameters = Record.Parameters()
  parameters.vCPUs = 1
  let hello = "program=hello"
  var starts = [
    Point.Side(mode: .guest, device: .none, vmm: "swiftlet") {
      StartSession(
        [executable, "run", "--kernel", "test-guest", "--append", hello, "--timeout", "60"], isShown: false)
    }
  ]
  if let peer {
    starts.append(
      Point.Side(mode: .guest, device: .none, vmm: "qemu") {
        StartSession(
          [peer.program.path] + QEMUProgram.bare
            + ["-serial", "stdio", "-m", "128", "-kernel", peer.kernel.path, "-append", hello], isShown: true)
      })
  }
  let ram = 128 << 20
  let disk = try UnnamedFile(in: options.directory, size: 16 << 20)
  return [
    Point(
      experiment: .start, parameters: parameters, unit: "ns", sides: starts, title: "start to the guest's first byte"),
    Point(
      experiment: .memory, parameters: parameters, unit: "bytes",
      sides: [
        Point.Side(mode: .guest, device: .none, vmm: "swiftlet") {
          try MemorySession(
            [
              executable, "run", "--kernel", "test-guest", "--memory", "128M", "--disk",
              "file=\(disk.path),model=virtio,cache=writeback", "--net", "backend=switch,model=e1000", "--append",
              "program=disk device=virtio-blk operation=read depth=32 span=16777216 duration-ms=100 samples=1000",
            ], ram: UInt64(ram))
        }
      ], title: "memory beyond the guest's RAM"),
  ]
}
