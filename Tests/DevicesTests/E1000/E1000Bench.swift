import Backends
import Counters
import Devices
import TestSupport

/// An 82540EM on a bus without a CPU. The driver's rings are at 0x10000 (receive) and 0x20000 (transmit), its buffers
/// from 0x100000 on.
final class E1000Bench: Sendable {
  let bench: DeviceBench
  let network: RecordedNetwork
  let nic: E1000
  static let mac = E1000Packet.mac
  static let base: UInt64 = 0xE000_0000
  let receiveRing: UInt64 = 0x1_0000
  let transmitRing: UInt64 = 0x2_0000

  init(options: E1000.Options = .init(), offloads: NetworkOffloads = [.checksum, .tso4, .tso6]) throws {
    bench = try DeviceBench()
    network = RecordedNetwork(acceptedOffloads: offloads)
    nic = try E1000(
      name: "e1000", macAddress: Self.mac, memory: bench.memory, backend: network, loop: bench.loop,
      counters: bench.counters, options: options)
    bench.plug(nic)
    bench.settle()
  }

  deinit { nic.detach() }

  func read(_ offset: UInt64) -> UInt32 { bench.read32(Self.base + offset) }
  func write(_ offset: UInt64, _ value: UInt32) { bench.write32(Self.base + offset, value) }
  func count(_ counter: Counter) -> UInt64 { bench.counters[counter] }

  func store16(_ value: UInt16, at address: UInt64) { bench.memory.store(value, at: address) }
  func store32(_ value: UInt32, at address: UInt64) { bench.memory.store(value, at: address) }
  func store64(_ value: UInt64, at address: UInt64) { bench.memory.store(value, at: address) }
  func load8(_ address: UInt64) -> UInt8 { bench.memory.load(at: address) ?? 0xEE }
  func load16(_ address: UInt64) -> UInt16 { bench.memory.load(at: address) ?? 0xEEEE }

  // MARK: The PHY

  func readPHY(_ register: UInt32) -> UInt32 {
    write(0x0020, 0x0820_0000 | register << 16)
    return read(0x0020) & 0xFFFF
  }

  func writePHY(_ register: UInt32, _ value: UInt32) { write(0x0020, 0x0420_0000 | register << 16 | value) }

  // MARK: Transmit

  /// A ring of `count` descriptors, and TCTL.EN with PSP.
  func startTransmit(count: UInt32 = 64, control: UInt32 = 0x0A) {
    write(0x3800, UInt32(transmitRing))
    write(0x3804, 0)
    write(0x3808, count * 16)
    write(0x3810, 0)
    write(0x3818, 0)
    write(0x0400, control)
    bench.settle()
  }

  /// Writes descriptor `index` as two 64-bit halves.
  func putDescriptor(_ index: Int, _ low: UInt64, _ high: UInt64) {
    store64(low, at: transmitRing + UInt64(index) * 16)
    store64(high, at: transmitRing + UInt64(index) * 16 + 8)
  }

  /// A legacy descriptor for `bytes`, which are stored in the buffer of that index.
  func putLegacy(
    _ index: Int, _ bytes: [UInt8], command: UInt64 = 0x0B, css: UInt64 = 0, cso: UInt64 = 0, special: UInt64 = 0
  ) {
    let address = buffer(index)
    bench.store(bytes, at: address)
    putDescriptor(
      index, address, UInt64(bytes.count) | cso << 16 | command << 24 | css << 40 | special << 48)
  }

  /// A data descriptor (DTYP 1, DEXT).
  func putData(
    _ index: Int, _ bytes: [UInt8], command: UInt64 = 0x0B, options: UInt64 = 0, special: UInt64 = 0
  ) {
    let address = buffer(index)
    bench.store(bytes, at: address)
    putDescriptor(
      index, address,
      UInt64(bytes.count) | 1 << 20 | (command | 0x20) << 24 | options << 40 | special << 48)
  }

  /// A context descriptor (DTYP 0, DEXT).
  func putContext(
    _ index: Int, ipcss: UInt64 = 14, ipcso: UInt64 = 24, ipcse: UInt64 = 33, tucss: UInt64 = 34, tucso: UInt64 = 50,
    tucse: UInt64 = 0, command: UInt64, payload: UInt64 = 0, header: UInt64 = 0, mss: UInt64 = 0
  ) {
    putDescriptor(
      index, ipcss | ipcso << 8 | ipcse << 16 | tucss << 32 | tucso << 40 | tucse << 48,
      payload | (command | 0x20) << 24 | header << 40 | mss << 48)
  }

  func buffer(_ index: Int) -> UInt64 { 0x10_0000 + UInt64(index) * 0x4000 }

  /// Writes the tail and lets the loop send.
  func ring(_ tail: UInt32) {
    write(0x3818, tail)
    bench.settle()
  }

  /// STA of transmit descriptor `index`.
  func transmitStatus(_ index: Int) -> UInt8 { load8(transmitRing + UInt64(index) * 16 + 12) }

  // MARK: Receive

  /// A ring of `count` descriptors, all but one of which belong to the device. RCTL defaults to EN, BAM and SECRC.
  func startReceive(count: UInt32 = 64, control: UInt32 = 0x0400_8002, tail: UInt32? = nil) {
    for index in 0..<Int(count) { putReceive(index, receiveBuffer(index)) }
    write(0x2800, UInt32(receiveRing))
    write(0x2804, 0)
    write(0x2808, count * 16)
    write(0x2810, 0)
    write(0x2818, tail ?? count - 1)
    write(0x0100, control)
  }

  func putReceive(_ index: Int, _ address: UInt64) {
    store64(address, at: receiveRing + UInt64(index) * 16)
    store64(0, at: receiveRing + UInt64(index) * 16 + 8)
  }

  func receiveBuffer(_ index: Int) -> UInt64 { 0x80_0000 + UInt64(index) * 0x4000 }

  struct Received: Equatable {
    var length: Int
    var checksum: UInt16
    var status: UInt8
    var errors: UInt8
    var special: UInt16
    var bytes: [UInt8]
  }

  /// The write-back of receive descriptor `index`.
  func received(_ index: Int) -> Received {
    let at = receiveRing + UInt64(index) * 16
    let length = Int(load16(at + 8))
    return Received(
      length: length, checksum: load16(at + 10), status: load8(at + 12), errors: load8(at + 13),
      special: load16(at + 14), bytes: bench.bytes(at: receiveBuffer(index), count: length))
  }

  /// Receives one frame and lets the loop settle.
  @discardableResult
  func offer(_ bytes: [UInt8], verified: Bool = false) -> FrameDelivery {
    let delivery = network.offer(bytes, isVerified: verified)
    bench.settle()
    return delivery
  }
}
