import Glibc
import Registers

/// The words behind BAR 0, what a guest may write of each, and which of them act.
///
/// Raw memory, since a register is reached on every exit. Guarded by the device's lock.
struct E1000RegisterFile: @unchecked Sendable {
  /// Plain registers store what their mask lets through; the others also do something.
  struct Behaviour: OptionSet {
    let rawValue: UInt8
    static var actsOnRead: Self { Self(rawValue: 1) }
    static var actsOnWrite: Self { Self(rawValue: 2) }
    static var statistic: Self { Self(rawValue: 4) }
  }

  /// Registers end here; above are only filter tables and the packet buffer, all plain.
  private static let described = 0x6000

  private let words: UnsafeMutablePointer<UInt32>
  private let masks: UnsafeMutablePointer<UInt32>
  private let behaviours: UnsafeMutablePointer<Behaviour>

  /// - Returns: nil when the host has no memory for it.
  init?() {
    // calloc: pages of the packet buffer that no guest touches are never resident.
    guard let words = calloc(Int(E1000Register.memorySize / 4), 4) else { return nil }
    self.words = words.assumingMemoryBound(to: UInt32.self)
    masks = .allocate(capacity: Self.described / 4)
    masks.initialize(repeating: 0, count: Self.described / 4)
    behaviours = .allocate(capacity: Self.described / 4)
    behaviours.initialize(repeating: [], count: Self.described / 4)
    describe()
  }

  func deallocate() {
    free(words)
    masks.deallocate()
    behaviours.deallocate()
  }

  /// The register at `offset`, a constant of `E1000Register` or an offset checked with `contains`.
  subscript(offset: UInt32) -> UInt32 {
    @inline(__always) get { words[Int(offset >> 2)] }
    @inline(__always) nonmutating set { words[Int(offset >> 2)] = newValue }
  }

  static func contains(_ offset: UInt64) -> Bool { offset < UInt64(E1000Register.memorySize) }

  @inline(__always)
  func behaviour(_ offset: UInt32) -> Behaviour { offset < Self.described ? behaviours[Int(offset >> 2)] : [] }

  /// Stores the writable bits of `value`.
  @inline(__always)
  func store(_ value: UInt32, at offset: UInt32) {
    let mask = offset < Self.described ? masks[Int(offset >> 2)] : Self.upperMask(offset)
    words[Int(offset >> 2)] = (words[Int(offset >> 2)] & ~mask) | (value & mask)
  }

  private static func upperMask(_ offset: UInt32) -> UInt32 {
    switch offset {
    case E1000Register.ffmt..<E1000Register.ffmt + 0x400: return 0x0F
    case E1000Register.ffvt..<E1000Register.ffvt + 0x400, E1000Register.pbm...: return ~0
    default: return 0
    }
  }

  /// The state after power-on or CTRL.RST (SDM 14.6); PBA and the packet buffer survive the latter.
  func reset(powerOn: Bool) {
    let allocation = powerOn ? 0x0010_0030 : self[E1000Register.pba]
    memset(words, 0, Self.described)
    self[E1000Register.pba] = allocation
    self[E1000Register.ctrl] = E1000Control.fullDuplex | E1000Control.speed1000 | E1000Control.setLinkUp
    self[E1000Register.vet] = 0x8100
    self[E1000Register.ledctl] = 0x0706_8302
    self[E1000Register.txdmac] = 1
    self[E1000Register.tipg] = 0x0060_2008
    self[E1000Register.rxdctl] = 0x0101_0000
  }

  // MARK: What may be written (SDM 13.4 to 13.8)

  private func describe() {
    typealias R = E1000Register
    func allow(_ mask: UInt32, _ offsets: UInt32...) { for offset in offsets { masks[Int(offset >> 2)] = mask } }
    func allow(_ mask: UInt32, from first: UInt32, count: Int, every step: Int = 4) {
      for index in 0..<count { masks[(Int(first) + index * step) >> 2] = mask }
    }
    func act(_ behaviour: Behaviour, _ offsets: UInt32...) {
      for offset in offsets { behaviours[Int(offset >> 2)].formUnion(behaviour) }
    }
    allow(0xFFFF_FFFF, R.fcal, R.tspmt, R.rdbah, R.tdbah, R.manc)
    allow(0x0000_FFFF, R.fcah, R.fct, R.vet, R.fcttv, R.aifs, R.itr, R.pba, R.rdh, R.rdt, R.rdtr, R.radv)
    allow(0x0000_FFFF, R.tdh, R.tdt, R.tidv, R.tadv)
    allow(0xFFFF_FFF0, R.rdbal, R.tdbal)
    allow(0x000F_FF80, R.rdlen, R.tdlen)
    allow(0xFFFF_DFFF, R.ctrlExt)
    allow(0xDBFC_1BE9, R.ctrl)
    allow(0xC000_FFFF, R.txcw)
    allow(0xCFCF_CFCF, R.ledctl)
    allow(0x8000_FFF8, R.fcrtl)
    allow(0x0000_FFF8, R.fcrth)
    allow(0x3FFF_FFFF, R.tipg)
    allow(0x06DF_B3FE, R.rctl)
    allow(0x033F_FFFA, R.tctl)  // SWXOFF clears itself: on a full-duplex link to a switch nobody is told to stop
    allow(0x013F_3F3F, R.rxdctl)
    allow(0xFF3F_3F3F, R.txdctl)
    allow(0x0000_0FFF, R.rsrpd)
    allow(0x0000_03FF, R.rxcsum)
    allow(0x0000_0001, R.txdmac)
    allow(0x0000_000F, R.wuc)
    allow(0x000F_80FF, R.wufc)
    allow(0x0001_000F, R.ipav)
    allow(0x0000_1FFF, R.rdfh, R.rdft, R.rdfhs, R.rdfts, R.rdfpc, R.tdfh, R.tdft, R.tdfhs, R.tdfts, R.tdfpc)
    allow(0xFFFF_FFFF, from: R.mta, count: 128)
    allow(0xFFFF_FFFF, from: R.vfta, count: 128)
    allow(0xFFFF_FFFF, from: R.ral0, count: 16, every: 8)
    allow(0x8003_FFFF, from: R.rah0, count: 16, every: 8)
    allow(0xFFFF_FFFF, from: R.ip4at, count: 4, every: 8)
    allow(0xFFFF_FFFF, from: R.ip6at, count: 4)
    allow(0x0000_07FF, from: R.fflt, count: 4, every: 8)

    act(.actsOnRead, R.icr, R.eecd, R.ims)
    act(.actsOnWrite, R.ctrl, R.eecd, R.eerd, R.mdic, R.icr, R.itr, R.ics, R.ims, R.imc, R.rctl, R.tctl, R.pba, R.wus)
    act(.actsOnWrite, R.rdbal, R.rdbah, R.rdlen, R.rdh, R.rdt, R.rdtr)
    act(.actsOnWrite, R.tdbal, R.tdbah, R.tdlen, R.tdh, R.tdt)
    for offset in stride(from: E1000Statistic.first, through: E1000Statistic.last, by: 4) {
      act([.statistic, .actsOnRead], offset)
    }
  }
}
