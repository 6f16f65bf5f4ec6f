import GuestMemory

/// The receive filters (VIRTIO 1.2, 5.1.6.5.1 to 5.1.6.5.3).
///
/// Without CTRL_RX, the device does not filter addresses, as the specification allows.
struct VirtioNetFilter: Sendable {
  /// Maximum number of entries in a MAC table. If a table is larger, all addresses of its kind pass.
  static let tableLimit = 64

  let permanentAddress: [UInt8]
  var macAddress: [UInt8]
  var isActive = false
  var filtersVLAN = false
  var promiscuous = false
  var allMulticast = false
  var allUnicast = false
  var noMulticast = false
  var noUnicast = false
  var noBroadcast = false
  /// The last MAC table that the driver set was larger than `tableLimit`.
  var isUnicastTableFull = false
  var isMulticastTableFull = false
  var unicast: [UInt64] = []
  var multicast: [UInt64] = []
  /// One bit for each VLAN.
  private var vlans = [UInt64](repeating: 0, count: 64)

  init(macAddress: [UInt8]) {
    permanentAddress = Array((macAddress + [0, 0, 0, 0, 0, 0]).prefix(6))
    self.macAddress = permanentAddress
  }

  /// An address as a number; its first byte is the lowest.
  static func key(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.prefix(6).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
  }

  mutating func setVLAN(_ id: UInt16, wanted: Bool) {
    let word = Int(id >> 6) & 63
    let bit: UInt64 = 1 << UInt64(id & 63)
    if wanted { vlans[word] |= bit } else { vlans[word] &= ~bit }
  }

  func accepts(_ frame: ScatterList) -> Bool {
    guard isActive || filtersVLAN, !promiscuous else { return true }
    var head: (UInt64, UInt64) = (0, 0)
    withUnsafeMutableBytes(of: &head) { _ = frame.copyOut(into: $0) }
    if filtersVLAN, head.1 >> 32 & 0xFFFF == 0x0081 {
      let id = UInt16(truncatingIfNeeded: head.1 >> 48).byteSwapped & 0x0FFF
      if vlans[Int(id >> 6)] >> UInt64(id & 63) & 1 == 0 { return false }
    }
    guard isActive else { return true }
    let destination = head.0 & 0xFFFF_FFFF_FFFF
    if destination == 0xFFFF_FFFF_FFFF { return !noBroadcast }
    if destination & 1 != 0 {
      return !noMulticast && (allMulticast || isMulticastTableFull || multicast.contains(destination))
    }
    if noUnicast { return false }
    return allUnicast || isUnicastTableFull || destination == Self.key(macAddress) || unicast.contains(destination)
  }
}
