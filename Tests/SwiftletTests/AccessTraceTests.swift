import Foundation
import TestSupport
import Testing

@Suite("run --trace-io", .needsKVM, .timeLimit(.minutes(10)))
struct AccessTraceTests {
  private func trace(_ option: String, _ arguments: String..., status: Int32 = 0) throws -> [Substring] {
    let folder = try TestFolder()
    try folder.write([UInt8](repeating: 0, count: 1 << 20), to: "disk.img")
    let result = try swiftlet(["run", "--kernel", "test-guest", option] + arguments, in: folder)
    #expect(result.status == status)
    return result.errors.split(separator: "\n")
  }

  @Test("an IDE read shows the command, the bus master's start and the status by the datasheet's names")
  func ide() throws {
    let lines = try trace(
      "--trace-io=ide", "--disk", "file=disk.img,model=ide", "--append",
      "program=disk device=ide operation=read block=4096 duration-ms=1")
    #expect(lines.contains { $0.hasSuffix("port 0x1f7 ide.channel0 Command = 0x25") || $0.hasSuffix("Command = 0xc8") })
    #expect(lines.contains { $0.contains("ide.bar4 BMIC = 0x09") })
    #expect(lines.contains { $0.contains("read  port 0x1f7 ide.channel0 Status = 0x50") })
    #expect(lines.contains { $0.hasPrefix("held  write port") && $0.contains("ide.bar4 BMIDTP") })
    #expect(lines.allSatisfy { $0.contains(" ide.") }, "no other device")
  }

  @Test("without device names, all accesses appear: serial port, configuration space by function and register")
  func all() throws {
    let lines = try trace("--trace-io", "--append", "program=hello")
    #expect(lines.contains("vcpu0 write port 0x3f8 serial THR = 0x7b"))
    #expect(lines.last?.hasPrefix("vcpu0 write port 0xf4 debug-exit") == true)
    let disk = try trace(
      "--trace-io=pci-configuration", "--disk", "file=disk.img,model=virtio", "--append",
      "program=disk device=virtio-blk operation=read block=4096 duration-ms=1")
    #expect(disk.contains { $0.contains("CONFDATA virtio-blk0 Command") })
  }

  @Test("a NIC's registers appear with their datasheet's names")
  func network() throws {
    // Nobody answers, so the guest times out.
    let send = "program=net operation=send peer=1099511627778 device="
    let e1000 = try trace(
      "--trace-io=e1000-0", "--net", "model=e1000", "--timeout", "1", "--append", send + "e1000", status: 124)
    #expect(e1000.contains { $0.contains("e1000-0.bar0 TDT = 0x000000") })
    #expect(e1000.contains { $0.contains("e1000-0.bar0 CTRL = ") })
    let virtio = try trace(
      "--trace-io=virtio-net0", "--net", "model=virtio", "--timeout", "1", "--append", send + "virtio-net", status: 124)
    #expect(virtio.contains { $0.contains("virtio-net0.bar0 device_status = 0x0f") })
    #expect(virtio.contains { $0.contains("virtio-net0.bar0 queue_enable = 0x0001") })
  }

  @Test("an unknown device is refused, and the error lists the machine's devices")
  func unknown() throws {
    try Refusal(
      "run --kernel test-guest --append program=hello --trace-io=e1000-0", "this machine has no such device",
      "Choose from: acpi-pm-timer"
    ).check(in: TestFolder())
  }
}
