import Backends
import Boot
import Bus
import EventLoop
import KVM
import Machine
import Synchronization
import TestSupport
import Testing
import Threads

/// A device with a request that never ends. Each write to its port waits for that request.
private final class StuckDevice: PCIFunction, @unchecked Sendable {
  /// The number of polls after which the device gives up, so that a failed test ends: at least 5 s.
  static let most = 100_000
  let looks = Atomic(0)
  private let loop: EventLoop

  init(loop: EventLoop) {
    self.loop = loop
    super.init(
      name: "stuck", identity: PCIIdentity(vendor: 0x1234, device: 1, baseClass: 0xFF, subclass: 0),
      bars: [PCIBaseAddress(kind: .port, size: 16)])
  }

  override func write(_ access: BusAccess, _ value: UInt64) {
    letRequestsEnd(on: loop) { looks.add(1, ordering: .relaxed).newValue >= Self.most }
  }
}

/// A disk that keeps its requests until they are cancelled.
private final class StuckDisk: Storage {
  let sectorCount: UInt64 = 64
  let isReadOnly = false
  let hasVolatileCache = false
  let supportsDiscard = false
  let supportsWriteZeroes = false
  let kind = "stuck"
  /// Opens at the first request.
  let isAsked = Latch()
  let cancels = Atomic(0)
  private let waiting = Mutex<[StorageRequest]>([])

  func submit(_ request: StorageRequest) {
    waiting.withLock { $0.append(request) }
    isAsked.open()
  }

  func commit() {}

  func cancel() {
    cancels.add(1, ordering: .relaxed)
    let requests = waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
    for request in requests { request.client?.completed(request, .failed(125)) }
  }

  var waitingCount: Int { waiting.withLock { $0.count } }
}

@Suite("How a machine ends around its guest", .needsKVM, .timeLimit(.minutes(10)))
struct MachineEndTests {
  /// A machine of one vCPU that runs `code`, 32-bit code at 1 MiB.
  private func machine(
    _ code: [UInt8], _ loop: EventLoop, _ configure: (inout MachineConfiguration) -> Void
  ) throws -> Machine {
    var configuration = MachineConfiguration(
      kernel: BootFile(ELFBytes.make32([(1, 0x10_0000, code, 0x1000), ELFBytes.noted]), name: "k"))
    configure(&configuration)
    return try Machine(configuration, system: System(), loop: loop)
  }

  @Test("a vCPU that waits for a request of the loop does not block the watchdog on that loop")
  func watchdog() throws {
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    // mov dx, D000H; mov al, 1; out dx, al; jmp $
    let machine = try machine([0x66, 0xBA, 0x00, 0xD0, 0xB0, 0x01, 0xEE, 0xEB, 0xFE], loop) {
      $0.watchdog = 200_000_000
    }
    let device = StuckDevice(loop: loop)
    device.attach(to: machine.bus, line: nil, interruptLine: 0)
    device.assign(bar: 0, to: 0xD000)
    device.writeConfiguration(0x04, 0x0001, width: 2)
    machine.start()
    guard case .crashed(let report) = machine.wait() else {
      Issue.record("the guest went on")
      return
    }
    #expect(report.cause == "it printed nothing for 0.2 s (watchdog)")
    let looks = device.looks.load(ordering: .relaxed)
    #expect(looks > 0, "the vCPU waited")
    #expect(looks < StuckDevice.most, "the watchdog freed it")
  }

  @Test("a machine cancels its disks' requests at its end, since they use its memory")
  func cancel() throws {
    let loop = try EventLoop(name: "io")
    loop.start()
    defer { loop.stop() }
    let disk = StuckDisk()
    // mov dx, 1F7H; mov al, 20H; out dx, al; jmp $: READ SECTOR(S) of drive 0.
    let machine = try machine([0x66, 0xBA, 0xF7, 0x01, 0xB0, 0x20, 0xEE, 0xEB, 0xFE], loop) {
      $0.disks = [.init(storage: disk, model: .ide, serial: "")]
    }
    machine.start()
    #expect(disk.isAsked.wait(nanoseconds: 20_000_000_000))
    machine.stop()
    _ = machine.wait()
    #expect(disk.cancels.load(ordering: .relaxed) == 1)
    #expect(disk.waitingCount == 0)
  }
}
