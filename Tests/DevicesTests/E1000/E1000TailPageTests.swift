import Bus
import Devices
import TestSupport
import Testing
import Threads

@Suite("82540EM: tails that are RAM while traffic flows")
struct E1000TailPageTests {
  private static let receivePage = E1000Bench.base + 0x2000
  private static let transmitPage = E1000Bench.base + 0x3000

  let card: E1000Bench
  private let slots = RegisterPageSlots()

  init() throws {
    card = try E1000Bench()
    card.bench.bus.observe(slots)
    card.startTransmit(count: 128)
    card.startReceive(count: 128)
  }

  private var transmitPage: RegisterPage { page(at: 0x3000) }

  private func page(at wanted: UInt64) -> RegisterPage {
    for case .page(let offset, let page) in card.nic.baseAddresses[0]?.accelerations ?? [] where offset == wanted {
      return page
    }
    preconditionFailure("the device has no page at \(wanted)")
  }

  /// A guest's store: into the page if there is one, and otherwise by an exit. A closed page opens first.
  private func store(_ offset: UInt64, _ value: UInt32) {
    guard let word = slots.word(E1000Bench.base + offset) else { return card.write(offset, value) }
    if !page(at: offset & ~0xFFF).isOpen { page(at: offset & ~0xFFF).open() }
    word.pointee = value
  }

  /// The guest's load.
  private func load(_ offset: UInt64) -> UInt32 {
    slots.word(E1000Bench.base + offset)?.pointee ?? card.read(offset)
  }

  /// Sends frame `number` in descriptor `number` mod 128.
  private func send(_ number: Int) {
    card.putLegacy(number % 128, E1000Packet.ethernet(count: 64, seed: number))
    store(0x3818, UInt32((number + 1) % 128))
  }

  /// Sends 64 frames quickly, after which the page of TDT is there, and has been looked at once.
  private func sendMany() {
    for number in 0..<64 {
      send(number)
      card.bench.settle()
    }
    card.bench.advance(by: 50_000)
  }

  @Test("after 64 quick writes of a tail the page is RAM, and frames go out after a store alone, in order")
  func stores() throws {
    sendMany()
    #expect(slots.shown == [Self.transmitPage])
    for number in 64..<200 {
      send(number)
      if number % 3 == 0 { card.bench.advance(by: 50_000) }
    }
    card.bench.advance(by: 50_000)
    #expect(card.network.sent.map(\.bytes) == (0..<200).map { E1000Packet.ethernet(count: 64, seed: $0) })
    #expect(load(0x3810) == 200 % 128)
    #expect(card.transmitStatus(199 % 128) & 1 == 1)
  }

  @Test("32 writes that take longer than 10 ms show nothing")
  func slowWrites() {
    for number in 0..<256 {
      send(number)
      card.bench.advance(by: 400_000)
    }
    #expect(slots.shown == [])
    #expect(card.network.sent.count == 256)
  }

  @Test("a loop that polls finds a store at once, and counts a doorbell for each change that it sees")
  func polling() {
    sendMany()
    let before = card.count(.doorbells)
    for number in 64..<96 {
      send(number)
      card.bench.loop.beginPolling(limit: 1_000_000)
      card.bench.loop.runOnce(timeout: 1)
      #expect(card.network.sent.count == number + 1)
    }
    #expect(card.count(.doorbells) == before + 32)
  }

  @Test("without stores for 1 ms the page closes; a store opens it and wakes the loop, which looks for 20 ms")
  func closing() {
    sendMany()
    for _ in 0..<19 { card.bench.advance(by: 50_000) }
    #expect(transmitPage.isOpen)
    card.bench.advance(by: 50_000)
    #expect(transmitPage.isShown)
    #expect(!transmitPage.isOpen)
    // What KVM_RUN's failure leads to; the store itself is late.
    transmitPage.open()
    card.bench.settle()
    for _ in 0..<300 { card.bench.advance(by: 50_000) }
    #expect(transmitPage.isOpen)
    send(64)
    card.bench.advance(by: 50_000)
    #expect(card.network.sent.count == 65)
    for _ in 0..<21 { card.bench.advance(by: 50_000) }
    #expect(!transmitPage.isOpen)
    send(65)
    card.bench.settle()
    card.bench.advance(by: 50_000)
    #expect(card.network.sent.count == 66)
  }

  @Test("eight openings with fewer than eight stores each hide the page; quick writes show it again")
  func wastedOpenings() {
    sendMany()
    var number = 64
    // The first opening had the 64 stores that showed the page; one with eight stores in between starts the count anew.
    for stores in [1, 7, 1, 8] + Array(repeating: 7, count: 8) {
      #expect(slots.shown == [Self.transmitPage])
      transmitPage.close()
      for _ in 0..<stores {
        send(number)
        number += 1
        card.bench.settle()
        card.bench.advance(by: 50_000)
      }
      for _ in 0..<21 { card.bench.advance(by: 50_000) }
    }
    #expect(slots.shown == [])
    for _ in 0..<64 {
      send(number)
      number += 1
      card.bench.settle()
    }
    #expect(slots.shown == [Self.transmitPage])
    #expect(card.network.sent.map(\.bytes) == (0..<number).map { E1000Packet.ethernet(count: 64, seed: $0) })
  }

  @Test("tail writes by IODATA do not show a page, which they could not use")
  func portWrites() {
    for number in 0..<128 {
      card.putLegacy(number, E1000Packet.ethernet(count: 64, seed: number))
      card.bench.outl(0xC100, 0x3818)
      card.bench.outl(0xC104, UInt32((number + 1) % 128))
      card.bench.settle()
    }
    #expect(slots.shown == [])
    #expect(card.network.sent.count == 128)
  }

  @Test("a last store before the page closes is sent")
  func lastStore() {
    sendMany()
    for _ in 0..<19 { card.bench.advance(by: 50_000) }
    #expect(transmitPage.isOpen)
    send(64)
    card.bench.advance(by: 50_000)
    #expect(card.network.sent.count == 65)
    #expect(transmitPage.isOpen)
  }

  @Test(
    "TCTL.EN off, memory space off and a moved BAR hide the page, and the last store before that counts",
    arguments: ["TCTL", "memory space", "BAR"])
  func hiding(reason: String) {
    sendMany()
    send(64)
    switch reason {
    case "TCTL": card.write(0x0400, 0x08)
    case "memory space": card.nic.writeConfiguration(0x04, 0x0004, width: 2)
    default: card.nic.writeConfiguration(0x10, UInt32(E1000Bench.base + 0x100_0000), width: 4)
    }
    #expect(slots.shown == [])
    switch reason {
    case "TCTL": card.write(0x0400, 0x0A)
    case "memory space": card.nic.writeConfiguration(0x04, 0x0006, width: 2)
    default: card.nic.writeConfiguration(0x10, UInt32(E1000Bench.base), width: 4)
    }
    card.bench.settle()
    #expect(card.read(0x3818) == 65)
    #expect(card.network.sent.count == 65)
    // The next frames exit, until the page is worth it again.
    for number in 65..<200 {
      send(number)
      card.bench.settle()
    }
    card.bench.advance(by: 50_000)
    #expect(slots.shown == [Self.transmitPage])
    #expect(card.network.sent.count == 200)
  }

  @Test("CTRL.RST hides the pages and forgets what was stored, also just before")
  func reset() {
    sendMany()
    send(64)
    card.write(0x0000, 0x0400_0000)
    #expect(slots.shown == [])
    #expect(card.read(0x3818) == 0)
    card.startTransmit(count: 128)
    card.bench.advance(by: 50_000)
    #expect(card.network.sent.count == 64)
    sendMany()
    #expect(card.network.sent.count == 128)
  }

  @Test(
    "a store to anything but the tail is applied with the register's mask, and hides the page until a reset",
    arguments: [
      (0x3818, 0xABCD_0040, 0x40), (0x3820, 0x1_0005, 0x5), (0x3808, 0x8FF, 0x880), (0x3828, 0x0100_0000, 0x0100_0000),
    ] as [(UInt64, UInt32, UInt32)])
  func misuse(offset: UInt64, value: UInt32, kept: UInt32) {
    sendMany()
    store(offset, value)
    card.putLegacy(64, E1000Packet.ethernet(count: 64, seed: 64))
    if offset != 0x3818 { store(0x3818, 65) }
    card.bench.advance(by: 50_000)
    #expect(slots.shown == [])
    #expect(card.read(offset) == kept)
    for number in 65..<200 {
      card.write(0x3818, UInt32(number % 128))
      card.bench.settle()
    }
    #expect(slots.shown == [])
  }

  @Test("a store to a register without writable bits is gone when the page is hidden")
  func readOnly() {
    sendMany()
    store(0x3FFC, 0x1234_5678)
    card.write(0x0400, 0x08)
    #expect(card.read(0x3FFC) == 0)
  }

  @Test("IODATA reads the tail's last value that the device has seen, and writes through to the page")
  func ports() {
    sendMany()
    card.bench.outl(0xC100, 0x3818)
    #expect(card.bench.inl(0xC104) == 64)
    card.putLegacy(64, E1000Packet.ethernet(count: 64, seed: 64))
    card.bench.outl(0xC104, 65)
    card.bench.settle()
    #expect(load(0x3818) == 65)
    #expect(card.network.sent.count == 65)
  }

  @Test("receive buffers that a store returns are used, and a frame that waits for one is found by the search")
  func receiving() {
    for number in 0..<64 {
      card.offer(E1000Packet.ethernet(count: 64, seed: number))
      store(0x2818, UInt32((127 + number + 1) % 128))
    }
    #expect(slots.shown == [Self.receivePage])
    #expect(load(0x2810) == 64)
    for number in 64..<192 { card.offer(E1000Packet.ethernet(count: 64, seed: number)) }
    // The guest returned up to descriptor 62, so the last of these frames waits.
    #expect(load(0x2810) == 63)
    let received = card.count(.framesReceived)
    store(0x2818, 100)
    card.bench.advance(by: 100_000)
    #expect(card.count(.framesReceived) > received)
    #expect(load(0x2810) > 63)
  }

  @Test("a loop that polls finds returned buffers without waiting for the search")
  func receivingPolled() {
    for number in 0..<64 {
      card.offer(E1000Packet.ethernet(count: 64, seed: number))
      store(0x2818, UInt32((127 + number + 1) % 128))
    }
    for number in 64..<192 { card.offer(E1000Packet.ethernet(count: 64, seed: number)) }
    let received = card.count(.framesReceived)
    store(0x2818, 100)
    card.bench.loop.beginPolling(limit: 1_000_000)
    card.bench.loop.runOnce(timeout: 1)
    #expect(card.count(.framesReceived) > received)
  }

  @Test("RCTL.EN off hides the page of the receive ring")
  func receiverOff() {
    for number in 0..<64 {
      card.offer(E1000Packet.ethernet(count: 64, seed: number))
      store(0x2818, UInt32((127 + number + 1) % 128))
    }
    store(0x2818, 70)
    card.write(0x0100, 0)
    #expect(slots.shown == [])
    #expect(card.read(0x2818) == 70)
  }

  @Test("without the option, no page is ever shown")
  func withoutPages() throws {
    let card = try E1000Bench(options: .init(tailPages: false))
    let slots = RegisterPageSlots()
    card.bench.bus.observe(slots)
    card.startTransmit(count: 128)
    for number in 0..<200 {
      card.putLegacy(number % 128, E1000Packet.ethernet(count: 64))
      card.ring(UInt32((number + 1) % 128))
    }
    #expect(slots.shown == [])
    #expect(card.network.sent.count == 200)
  }

  /// Waits for a condition that the loop's thread brings about, while its time goes on.
  private func wait(_ condition: () -> Bool) throws {
    for _ in 0..<20_000_000 {
      if condition() { return }
      card.bench.clock.advance(by: 1_000)
    }
    try #require(condition())
  }

  @Test("no frame is lost between a thread that stores tails and the loop's thread, while pages come and go")
  func threads() throws {
    card.bench.loop.start()
    defer { card.bench.loop.stop() }
    var sent = 0
    for round in 0..<40 {
      for _ in 0..<100 {
        // The driver waits for room: the head is at most 100 behind.
        try wait { (UInt32(sent % 128) &- load(0x3810)) & 127 <= 100 }
        send(sent)
        sent += 1
      }
      if round % 4 == 3 {
        try wait { load(0x3810) == UInt32(sent % 128) }
        card.write(0x0400, 0x08)
        card.write(0x0400, 0x0A)
      }
      if round % 8 == 5 { transmitPage.close() }
    }
    try wait { load(0x3810) == UInt32(sent % 128) }
    #expect(card.network.sent.map(\.bytes) == (0..<sent).map { E1000Packet.ethernet(count: 64, seed: $0) })
  }
}
