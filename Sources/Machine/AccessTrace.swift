import Bus

/// Prints each access that exits, with the names of its range and register: `swiftlet run --trace-io`.
///
/// Accesses that do not exit, such as a doorbell that signals an ioeventfd, are not printed. A coalesced write is
/// printed when it is applied. When tracing is off, an exit costs only a test for nil.
final class AccessTrace: Sendable {
  private let devices: Set<String>
  private let output: @Sendable (String) -> Void

  /// - Parameter devices: the devices to trace, by the part of a range's name before the dot; empty for all.
  init(devices: Set<String>, output: @escaping @Sendable (String) -> Void) {
    self.devices = devices
    self.output = output
  }

  /// The device of a range: `e1000-0` for `e1000-0.bar0`.
  static func device(of rangeName: String) -> String { String(rangeName.prefix { $0 != "." }) }

  /// Prints one access.
  ///
  /// - Parameter data: elements of `width` bytes.
  func record(
    by owner: String, _ space: AddressSpaceKind, _ address: UInt64, width: Int, isWrite: Bool,
    _ data: UnsafeRawBufferPointer, _ range: BusRange?
  ) {
    guard devices.isEmpty || range.map({ devices.contains(Self.device(of: $0.name)) }) == true else { return }
    let verb = isWrite ? "write" : "read "
    let place = space == .port ? "port 0x\(hex(address))" : "memory 0x\(hex(address))"
    output(
      "\(owner) \(verb) \(place) \(Self.name(address, width: width, isWrite: isWrite, range)) = \(Self.value(data, width))"
    )
  }

  private static func name(_ address: UInt64, width: Int, isWrite: Bool, _ range: BusRange?) -> String {
    guard let range else { return "(nothing)" }
    let access = BusAccess(region: range.region, offset: address - range.base, width: width)
    let register = range.target.registerName(access, isWrite: isWrite)
    return "\(range.name) \(register ?? "+0x\(hex(access.offset))")"
  }

  private static func value(_ data: UnsafeRawBufferPointer, _ width: Int) -> String {
    guard data.count <= width else { return "\(data.count / max(1, width)) x \(width) bytes" }
    return "0x" + hex(loadElement(width: width, from: data, at: 0), digits: 2 * width)
  }
}
