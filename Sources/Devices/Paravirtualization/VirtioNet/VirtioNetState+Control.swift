import Backends
import GuestMemory
import Registers

/// The control queue (VIRTIO 1.2, 5.1.6.5).
extension VirtioNetState {
  /// Maximum length of a command in bytes: room for two MAC tables of several thousand entries.
  private static let commandLimit = 1 << 16
  /// Maximum number of commands in one turn on the loop.
  private static let commandBatch = 16

  /// Runs a batch of available commands.
  ///
  /// - Returns: whether more may be left.
  mutating func control(_ queue: Int) -> Bool {
    var chain = DescriptorChain()
    var taken = 0
    do throws(VirtqueueError) {
      while taken < Self.commandBatch, try core.popOrAskForKick(queue, &chain) {
        taken += 1
        var command = [UInt8](repeating: 0, count: min(chain.readable.count, Self.commandLimit))
        command.withUnsafeMutableBytes { _ = chain.readable.copyOut(into: $0) }
        let isWhole = chain.readable.count <= Self.commandLimit
        let isDone = isWhole && command.count >= 2 && run(command[0], command[1], command.dropFirst(2))
        if !isDone { core.counters.add(.badRequest) }
        var answer = isDone ? VirtioNetwork.controlOK : VirtioNetwork.controlError
        let written = withUnsafeMutableBytes(of: &answer) { chain.writable.copyIn(from: UnsafeRawBufferPointer($0)) }
        core.queues[queue].push(chain.head, written: written)
      }
    } catch {
      core.fail(error)
    }
    if taken > 0 { core.publish(queue: queue) }
    // After a full batch, kicks are still disabled. A turn that finds the queue empty enables them, unless the loop polls.
    return core.isRunning && taken == Self.commandBatch
  }

  /// Runs one command; false if it is unknown, not negotiated or malformed.
  private mutating func run(_ kind: UInt8, _ command: UInt8, _ data: ArraySlice<UInt8>) -> Bool {
    switch kind {
    case VirtioNetwork.controlRX where core.isNegotiated(VirtioNetwork.featureControlRX):
      return setReceiveMode(command, data)
    case VirtioNetwork.controlMAC: return setAddresses(command, data)
    case VirtioNetwork.controlVLAN where core.isNegotiated(VirtioNetwork.featureControlVLAN):
      guard data.count == 2, command < 2 else { return false }
      let id = UInt16(data[data.startIndex]) | UInt16(data[data.startIndex + 1]) << 8
      guard id < 4096 else { return false }
      filter.setVLAN(id, wanted: command == 0)
      return true
    case VirtioNetwork.controlMultiqueue where core.isNegotiated(VirtioNetwork.featureMultiqueue):
      return setPairs(command, data)
    case VirtioNetwork.controlGuestOffloads where core.isNegotiated(VirtioNetwork.featureControlGuestOffloads):
      return setGuestOffloads(command, data)
    default: return false
    }
  }

  private mutating func setReceiveMode(_ command: UInt8, _ data: ArraySlice<UInt8>) -> Bool {
    guard data.count == 1, let value = data.first, value < 2 else { return false }
    guard command < 2 || core.isNegotiated(VirtioNetwork.featureControlRXExtra) else { return false }
    let isOn = value == 1
    switch command {
    case 0: filter.promiscuous = isOn
    case 1: filter.allMulticast = isOn
    case 2: filter.allUnicast = isOn
    case 3: filter.noMulticast = isOn
    case 4: filter.noUnicast = isOn
    case 5: filter.noBroadcast = isOn
    default: return false
    }
    return true
  }

  private mutating func setAddresses(_ command: UInt8, _ data: ArraySlice<UInt8>) -> Bool {
    if command == 1, core.isNegotiated(VirtioNetwork.featureControlMACAddress) {
      guard data.count == 6, data.first.map({ $0 & 1 == 0 }) == true else { return false }
      filter.macAddress = Array(data)
      return true
    }
    guard command == 0, core.isNegotiated(VirtioNetwork.featureControlRX) else { return false }
    var rest = data
    guard let unicast = takeTable(&rest), let multicast = takeTable(&rest), rest.isEmpty else { return false }
    // 5.1.6.5.2: if a table does not fit, pass all addresses of its kind.
    filter.isUnicastTableFull = unicast.count > VirtioNetFilter.tableLimit
    filter.unicast = filter.isUnicastTableFull ? [] : unicast
    filter.isMulticastTableFull = multicast.count > VirtioNetFilter.tableLimit
    filter.multicast = filter.isMulticastTableFull ? [] : multicast
    return true
  }

  /// Removes a table from `data`: a 32-bit count and that many addresses. Nil if it is malformed.
  private func takeTable(_ data: inout ArraySlice<UInt8>) -> [UInt64]? {
    guard data.count >= 4 else { return nil }
    let count = data.prefix(4).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    data = data.dropFirst(4)
    guard count <= data.count / 6 else { return nil }
    let addresses = (0..<count).map { VirtioNetFilter.key(data.dropFirst(6 * $0)) }
    data = data.dropFirst(6 * count)
    return addresses
  }

  /// VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET (5.1.6.5.5): sets the number of pairs on which frames are received.
  private mutating func setPairs(_ command: UInt8, _ data: ArraySlice<UInt8>) -> Bool {
    guard command == 0, data.count == 2 else { return false }
    let pairs = Int(data[data.startIndex]) | Int(data[data.startIndex + 1]) << 8
    // The driver configures queues before it enables pairs.
    guard pairs >= 1, pairs <= pairCount, (0..<2 * pairs).allSatisfy({ core.queues[$0].isEnabled }) else {
      return false
    }
    enabledPairs = pairs
    return true
  }

  /// VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET: selects a subset of the negotiated offloads, by feature bits.
  private mutating func setGuestOffloads(_ command: UInt8, _ data: ArraySlice<UInt8>) -> Bool {
    guard command == 0, data.count == 8 else { return false }
    let bits = data.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
    let known =
      VirtioNetwork.featureGuestChecksum | VirtioNetwork.featureGuestTSO4 | VirtioNetwork.featureGuestTSO6
    guard bits & ~(known & core.registers.driverFeatures) == 0 else { return false }
    var offloads: NetworkOffloads = []
    if bits & VirtioNetwork.featureGuestChecksum != 0 { offloads.insert(.checksum) }
    if bits & VirtioNetwork.featureGuestTSO4 != 0 { offloads.insert(.tso4) }
    if bits & VirtioNetwork.featureGuestTSO6 != 0 { offloads.insert(.tso6) }
    guestOffloads = offloads
    return true
  }
}
