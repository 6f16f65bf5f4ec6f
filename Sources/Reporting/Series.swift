import Measurement

/// One side of a plot: the host, or a mode under one VMM.
struct Series: Hashable, Comparable {
  var mode: Record.Mode
  var isPeer: Bool

  init(_ record: Record) {
    mode = record.mode
    isPeer = record.vmm == "qemu"
  }

  init(_ mode: Record.Mode) { (self.mode, isPeer) = (mode, false) }

  var name: String {
    let name = mode.rawValue
    return isPeer ? "QEMU \(name)" : name
  }

  /// What the side is, for the legend.
  var meaning: String {
    let device =
      switch mode {
      case .fullVirtualization: "emulated hardware"
      case .paravirtualization: "virtio"
      case .guest: "in a virtual machine"
      case .host: "without a virtual machine"
      }
    return isPeer ? "\(device), under QEMU" : device
  }

  /// Its marker in a curve, as a character: color is not the only difference.
  var glyph: String {
    switch mode {
    case .host: "■"
    case .guest: "◆"
    case .fullVirtualization: "●"
    case .paravirtualization: "▲"
    }
  }

  /// The class that colors it.
  var style: String { "\(mode.rawValue.lowercased())\(isPeer ? " peer" : "")" }

  private var order: Int {
    let order =
      switch mode {
      case .host: 0
      case .guest: 1
      case .fullVirtualization: 2
      case .paravirtualization: 3
      }
    return order * 2 + (isPeer ? 1 : 0)
  }

  static func < (first: Series, second: Series) -> Bool { first.order < second.order }
}
