import Foundation
import TestSupport
import Testing

@Suite("Start and end of Debian's unmodified kernel", .needsLinux)
struct LinuxBootTests {
  private func guest(_ name: String) async throws -> LinuxGuest {
    let isEnd = ["bzimage", "reboot", "panic", "button", "bios", "efi", "triple"].contains(name)
    return try await LinuxRuns.shared.run(isEnd ? "boots" : "machine").guest(name)
  }

  @Test("bzImage boots by the 64-bit protocol, and powering off is status 0")
  func bzImage() async throws {
    let guest = try await guest("bzimage")
    #expect(guest.status == 0)
    #expect(guest.statistics?.outcome == "powered off")
    #expect(guest.errors == "")
  }

  @Test("a reboot is status 4")
  func reboot() async throws {
    let guest = try await guest("reboot")
    #expect(guest.status == 4)
    #expect(guest.statistics?.outcome == "reset")
  }

  @Test("a reset of the processor by reboot=b or reboot=e is status 4", arguments: ["bios", "efi"])
  func processorReset(name: String) async throws {
    let guest = try await guest(name)
    #expect(guest.status == 4)
    #expect(guest.statistics?.outcome == "reset")
  }

  @Test(
    "with acpi=off or pci=noacpi, the MP table brings up both vCPUs and routes INTA# of slot 3 to IOAPIC pin 11",
    arguments: ["bios", "efi"])
  func multiprocessorTable(name: String) async throws {
    let guest = try await guest(name)
    guest.expect("read")
    #expect(guest.values["online"] == "0-1")
    #expect(guest.values["controller"] == "IO-APIC")
    #expect(guest.values["pin"] == "11-fasteoi")
  }

  @Test("a triple fault is a crash: status 2, and the report does not show KVM's reset state as the guest's registers")
  func tripleFault() async throws {
    let guest = try await guest("triple")
    #expect(guest.status == 2)
    #expect(guest.errors.hasPrefix("guest crashed on vCPU 0: triple fault\n"))
    #expect(!guest.errors.contains("rip 000000000000fff0"))
    #expect(guest.errors.contains("rip 0000000000") || guest.errors.contains("no registers: KVM reset the vCPU"))
  }

  @Test("the kernel lists the PM timer as a clock source, and finds the machine's vendor by SMBIOS")
  func clocksAndVendor() async throws {
    let guest = try await guest("four")
    #expect(guest.values["clocksources"]?.contains("acpi_pm") == true, "\(guest.values["clocksources"] ?? "none")")
    #expect(guest.values["vendor"] == "swiftlet")
  }

  @Test("a panic is a crash through pvpanic: status 2, with registers")
  func panic() async throws {
    let guest = try await guest("panic")
    #expect(guest.status == 2)
    #expect(guest.console.contains("Kernel panic - not syncing"))
    #expect(guest.errors.hasPrefix("guest crashed on vCPU 0: it panicked, as its pvpanic driver reported\n"))
    #expect(guest.errors.contains("rip ffffffff"))
  }

  @Test("SIGUSR1 presses the power button, and the guest powers off")
  func button() async throws {
    let guest = try await guest("button")
    #expect(guest.console.contains("value event  1 116 1"), "EV_KEY, KEY_POWER, pressed")
    #expect(guest.status == 0)
    #expect(guest.statistics?.outcome == "powered off")
  }

  @Test("at a terminal, a shell gets Tab, Ctrl-C and Ctrl-A, with one echo; Ctrl-A h and x work; stty is restored")
  func shell() async throws {
    let run = try await LinuxRuns.shared.run("boots")
    let guest = run.guest("shell")
    let lines = guest.console.split(whereSeparator: \.isNewline)
    #expect(lines.contains { $0.hasPrefix("/PROC/UPTIME") }, "\(guest.console)")
    #expect(lines.contains("left by 130"), "SIGINT ended the sleep in the guest")
    #expect(lines.contains("end"), "Ctrl-A moved the guest's cursor to the start of the line")
    #expect(lines.count { $0.hasSuffix("echo asleep; sleep 1000") } == 1)
    #expect(guest.console.contains("Ctrl-A x    end the machine at once"))
    #expect(guest.status == 0)
    #expect(run.text("shell.before") == run.text("shell.after"))
    #expect(run.text("shell.before").contains(" icanon"))
  }

  @Test("four vCPUs start by the MADT, without an ACPI error or a warning, and all of them use the disk (ata_piix)")
  func four() async throws {
    let values = try await guest("four").values
    #expect(values["processors"] == "4")
    #expect(values["online"] == "0-3")
    #expect(values["acpi errors"] == "0")
    #expect(values["kernel warnings"] == "0")
    #expect(Int(values["interrupts of ata_piix"] ?? "") ?? 0 >= 32)
  }

  @Test("the RTC has the host's time, and legacy interrupts are 1, 4, 8, 9, 14 and 15")
  func platform() async throws {
    let guest = try await guest("four")
    let clock = Double(guest.values["clock"] ?? "") ?? 0
    #expect(abs(clock - Date().timeIntervalSince1970) < 3600)
    for interrupt in ["i8042=1", "ttyS0=4", "rtc0=8", "acpi=9", "ata_piix=14", "ata_piix=15"] {
      #expect(guest.console.contains("\(interrupt) "), "\(interrupt)")
    }
  }

  @Test("64 sectors are written and read by PIO, without bus master accesses (ata_piix, PIO mode 4)")
  func pio() async throws {
    let guest = try await guest("pio")
    guest.expect("pio")
    #expect(guest.values["driver"] == "ata_piix")
    #expect(guest.values["mode"] == "XFER_PIO_4")
    // Each access moves two words (32 bits), and each access of a string output exits.
    #expect(guest.exits(ports: 0x1F0...0x1F0) >= 64 * 128)
    #expect(guest.exits(ports: 0xC000...0xC000) < 64, "the driver stops the engine at times, but does not use it")
  }

  @Test("a boot from entry through /init to power-off takes at most 10 000 exits", arguments: DiskDriver.allCases)
  func bootExits(driver: DiskDriver) async throws {
    let guest = try await guest("commands-\(driver.model)")
    #expect(guest.status == 0)
    let statistics = try #require(guest.statistics)
    // The program's own reads do not belong to the boot.
    #expect(statistics.exits < 10_000 + (driver == .ide ? 400 * 15 : 0))
    #expect(statistics.exits > 100)
  }

  @Test("at most 15 of the 26 accesses of libata's DMA command exit; a request of virtio_blk does not exit")
  func commandExits() async throws {
    let ide = try await guest("commands-ide")
    let commands = Double(ide.statistics?.counters["ide"]?["diskReads"] ?? 0)
    #expect(commands >= 400)
    let accesses = ide.exits(ports: 0x1F0...0x1F7) + ide.exits(ports: 0x3F6...0x3F6) + ide.exits(ports: 0xC000...0xC00F)
    // IDENTIFY and setting the modes take some hundred accesses, once.
    #expect(Double(accesses) <= 15 * commands + 400)
    #expect(Double(accesses) >= 13 * commands)
    let virtio = try #require(try await guest("commands-virtio").statistics)
    #expect(virtio.counters["virtio-blk1"]?["diskReads"] ?? 0 >= 400)
    #expect(virtio.counters["vcpu0"]?["exitsMMIO"] ?? 0 < 400, "the set-up of two disks")
  }
}
