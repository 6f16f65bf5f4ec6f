/// A parser or a device that is fuzzed. Its name is also the name of its corpus and its dictionary.
package enum FuzzTarget: String, CaseIterable, Codable, Sendable {
  case e1000, ide
  case virtioBlock = "virtio-blk"
  case virtioNet = "virtio-net"
  case platform, pci, frames, bzimage, elf
  case diskLog = "disk-log"
  case pcap, netlink, settings

  /// Whether its inputs are lists of `Operation`.
  package var takesOperations: Bool {
    switch self {
    case .e1000, .ide, .virtioBlock, .virtioNet, .platform, .pci, .pcap: true
    case .frames, .bzimage, .elf, .diskLog, .netlink, .settings: false
    }
  }

  /// A function that runs one input. It traps if the product does something wrong.
  ///
  /// The input has the whole effect: the function has no clock and no thread, and builds a device anew for each input.
  package func makeRunner() throws -> (UnsafeRawBufferPointer) -> Void {
    switch self {
    case .e1000: return E1000Guest.play
    case .ide: return IDEGuest.play
    case .virtioBlock: return VirtioBlockGuest.play
    case .virtioNet: return VirtioNetGuest.play
    case .platform: return PlatformGuest.play
    case .pci: return PCIGuest.play
    case .frames: return FrameParser().parse
    case .bzimage, .elf: return try ImageParser().parse
    case .diskLog: return try DiskLogParser().parse
    case .pcap: return try CaptureParser().parse
    case .netlink: return NetlinkParser.parse
    case .settings: return SettingsParser.parse
    }
  }
}
