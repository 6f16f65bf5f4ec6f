import Backends
import Devices
import TestSupport
import Testing

@Suite("82540EM interrupts and their moderation (SDM 3.2.7, 3.4.3, 13.4.17-13.4.21)")
struct E1000InterruptTests {
  let card: E1000Bench
  init() throws { card = try E1000Bench() }

  @Test("a masked cause is remembered, and interrupts once it is unmasked")
  func maskedCauseWaits() {
    card.write(0x00C8, 0x80)
    #expect(!card.bench.line.isAsserted)
    card.write(0x00D0, 0x80)
    #expect(card.bench.line.isAsserted)
    #expect(card.read(0x00D0) == 0x80)
    #expect(card.count(.interrupts) == 1)
  }

  @Test("reading ICR returns the causes, clears them and lowers INTA#; the 82540 has no bit 31")
  func readingClears() {
    card.write(0x00D0, 0x1F6DF)
    card.write(0x00C8, 0x84)
    #expect(card.read(0x00C0) == 0x84)
    #expect(card.read(0x00C0) == 0)
    #expect(card.bench.line.changes == [true, false])
  }

  @Test("writing ones to ICR clears those causes")
  func writingClears() {
    card.write(0x00D0, 0x84)
    card.write(0x00C8, 0x84)
    card.write(0x00C0, 0x80)
    #expect(card.bench.line.isAsserted)
    card.write(0x00C0, 0x04)
    #expect(!card.bench.line.isAsserted)
  }

  @Test("IMC masks, and the pin falls")
  func masking() {
    card.write(0x00D0, 0x14)
    card.write(0x00C8, 0x04)
    card.write(0x00D8, 0x04)
    #expect(card.read(0x00D0) == 0x10)
    #expect(!card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == 0x04)
  }

  @Test("each of the ten lowest causes can be set and masked separately, as Linux tests them", arguments: 0..<10)
  func linuxSelfTest(_ bit: UInt32) {
    let mask: UInt32 = 1 << bit
    card.write(0x00D8, mask)
    card.write(0x00C8, mask)
    #expect(!card.bench.line.isAsserted)
    card.write(0x00D0, mask)
    card.write(0x00C8, mask)
    #expect(card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == mask)
    card.write(0x00D8, ~mask & 0x7FFF)
    card.write(0x00C8, ~mask & 0x7FFF)
    #expect(!card.bench.line.isAsserted)
  }

  @Test("a burst of received frames interrupts once")
  func burst() {
    card.startReceive(count: 8, tail: 0)
    card.write(0x00D0, 0x80)
    for index in 0..<3 { card.offer(E1000Packet.ethernet(seed: index)) }
    #expect(card.count(.interrupts) == 0)
    card.write(0x2818, 5)
    card.bench.settle()
    #expect(card.count(.interrupts) == 1)
    #expect(card.read(0x00C0) & 0x80 == 0x80)
  }

  @Test("TXDW is raised when descriptors are written back, TXQE when the ring is empty")
  func transmitCauses() {
    card.startTransmit()
    card.write(0x00D0, 1)
    card.putLegacy(0, E1000Packet.ethernet(), command: 0x03)
    card.ring(1)
    #expect(!card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == 2)
    card.putLegacy(1, E1000Packet.ethernet())
    card.ring(2)
    #expect(card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == 3)
  }

  @Test("TXD_LOW is raised when the ring falls to TXDCTL.LWTHRESH (SDM 13.4.42)")
  func transmitLow() {
    card.startTransmit()
    card.write(0x3828, 1 << 25)
    for index in 0..<20 { card.putLegacy(index, E1000Packet.ethernet()) }
    card.ring(5)
    #expect(card.read(0x00C0) & 0x8000 == 0)
    card.ring(20)
    #expect(card.read(0x00C0) & 0x8000 == 0x8000)
  }

  // MARK: Moderation

  @Test("interrupts are at least 256 ns times ITR apart (SDM 13.4.18)")
  func throttling() {
    card.write(0x00C4, 500)
    card.write(0x00D0, 4)
    card.write(0x00C8, 4)
    #expect(card.bench.line.isAsserted)
    #expect(card.read(0x00C0) == 4)
    card.write(0x00C8, 4)
    #expect(!card.bench.line.isAsserted)
    card.bench.advance(by: 127_999)
    #expect(!card.bench.line.isAsserted)
    card.bench.advance(by: 1)
    #expect(card.bench.line.isAsserted)
    #expect(card.count(.interrupts) == 2)
  }

  @Test("a cause that is read while ITR holds it back does not interrupt later")
  func throttledAndRead() {
    card.write(0x00C4, 500)
    card.write(0x00D0, 4)
    card.write(0x00C8, 4)
    _ = card.read(0x00C0)
    card.write(0x00C8, 4)
    _ = card.read(0x00C0)
    card.bench.advance(by: 1_000_000)
    #expect(card.count(.interrupts) == 1)
  }

  @Test("with moderation off, ITR and the delays are ignored")
  func moderationOff() throws {
    let card = try E1000Bench(options: .init(interruptModeration: false))
    card.write(0x00C4, 500)
    card.write(0x00D0, 0x85)
    for _ in 0..<3 {
      card.write(0x00C8, 4)
      #expect(card.bench.line.isAsserted)
      _ = card.read(0x00C0)
    }
    card.write(0x2820, 100)
    card.startReceive()
    card.offer(E1000Packet.ethernet())
    #expect(card.read(0x00C0) & 0x80 == 0x80)
    card.write(0x3820, 100)
    card.startTransmit()
    card.putLegacy(0, E1000Packet.ethernet(), command: 0x8B)
    card.ring(1)
    #expect(card.read(0x00C0) & 1 == 1)
  }

  @Test("RDTR waits 1.024 us times its value from the last packet (SDM 13.4.30)")
  func receiveDelay() {
    card.startReceive()
    card.write(0x2820, 10)
    card.write(0x00D0, 0x80)
    card.offer(E1000Packet.ethernet())
    card.bench.advance(by: 8_000)
    card.offer(E1000Packet.ethernet())
    card.bench.advance(by: 10_239)
    #expect(!card.bench.line.isAsserted)
    card.bench.advance(by: 1)
    #expect(card.bench.line.isAsserted)
    #expect(card.count(.interrupts) == 1)
  }

  @Test("RADV bounds the delay from the first packet (SDM 13.4.31)")
  func receiveLimit() {
    card.startReceive()
    card.write(0x2820, 10)
    card.write(0x282C, 15)
    card.write(0x00D0, 0x80)
    card.offer(E1000Packet.ethernet())
    card.bench.advance(by: 8_000)
    card.offer(E1000Packet.ethernet())
    card.bench.advance(by: 7_360)
    #expect(card.bench.line.isAsserted)
    _ = card.read(0x00C0)
    card.bench.advance(by: 100_000)
    #expect(card.count(.interrupts) == 1, "the other timer was cancelled with it")
  }

  @Test("RDTR.FPD interrupts at once if packets are waiting, and otherwise not")
  func flush() {
    card.startReceive()
    card.write(0x00D0, 0x80)
    card.write(0x2820, 0x8000_000A)
    #expect(!card.bench.line.isAsserted)
    card.offer(E1000Packet.ethernet())
    #expect(!card.bench.line.isAsserted)
    card.write(0x2820, 0x8000_000A)
    #expect(card.bench.line.isAsserted)
    #expect(card.read(0x2820) == 0x0A)
  }

  @Test("a packet no longer than RSRPD sets SRPD at once")
  func smallPacket() {
    card.startReceive()
    card.write(0x2820, 1000)
    card.write(0x2C00, 128)
    card.offer(E1000Packet.ethernet(count: 125))
    #expect(card.read(0x00C0) & 0x1_0000 == 0)
    card.offer(E1000Packet.ethernet(count: 124))
    #expect(card.read(0x00C0) & 0x1_0000 == 0x1_0000)
  }

  @Test("IDE delays TXDW by TIDV from the last descriptor, TADV from the first (SDM 13.4.40, 13.4.43)")
  func transmitDelay() {
    card.startTransmit()
    card.write(0x3820, 10)
    card.write(0x00D0, 1)
    card.putLegacy(0, E1000Packet.ethernet(), command: 0x8B)
    card.ring(1)
    #expect(card.transmitStatus(0) == 1, "the write-back does not wait")
    card.bench.advance(by: 10_239)
    #expect(!card.bench.line.isAsserted)
    card.bench.advance(by: 1)
    #expect(card.bench.line.isAsserted)
    _ = card.read(0x00C0)

    card.write(0x382C, 15)
    for index in 1..<3 {
      card.putLegacy(index, E1000Packet.ethernet(), command: 0x8B)
      card.ring(UInt32(index + 1))
      card.bench.advance(by: 7_680)
    }
    #expect(card.bench.line.isAsserted)
    #expect(card.count(.interrupts) == 2)
  }

  @Test("a descriptor without IDE ends the delay of those before it")
  func immediateEndsDelay() {
    card.startTransmit()
    card.write(0x3820, 10)
    card.write(0x00D0, 1)
    card.putLegacy(0, E1000Packet.ethernet(), command: 0x8B)
    card.ring(1)
    card.putLegacy(1, E1000Packet.ethernet(), command: 0x0B)
    card.ring(2)
    #expect(card.bench.line.isAsserted)
    _ = card.read(0x00C0)
    card.bench.advance(by: 1_000_000)
    #expect(card.count(.interrupts) == 1)
  }

  @Test("a reset ends all delays")
  func resetEndsDelays() {
    card.startReceive()
    card.write(0x2820, 10)
    card.offer(E1000Packet.ethernet())
    card.write(0x0000, 0x0400_0000)
    card.write(0x00D0, 0x80)
    card.bench.advance(by: 1_000_000)
    #expect(card.read(0x00C0) == 0)
  }
}
