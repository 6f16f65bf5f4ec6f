/// The notes of a kernel (PT_NOTE): its PVH entry, and whether it is a Linux kernel.
///
/// Parses untrusted bytes: an invalid size ends the search.
struct ELFNotes {
  /// The value of XEN_ELFNOTE_PHYS32_ENTRY, which has type 18 and owner "Xen".
  var pvhEntry: UInt32?
  /// There is a note with owner "Linux". Kernels since Linux 5.1 have one.
  var isLinux = false

  init() {}

  /// Adds the notes of a segment. The first PVH entry wins.
  mutating func add(_ bytes: [UInt8]) {
    var position = 0
    while position <= bytes.count - 12 {
      let words = bytes.withUnsafeBytes { raw in
        (0..<3).map { Int(raw.loadUnaligned(fromByteOffset: position + 4 * $0, as: UInt32.self)) }
      }
      let name = position + 12
      let (nameSize, valueSize, type) = (words[0], words[1], words[2])
      let value = name + ((nameSize + 3) & ~3)
      guard value <= bytes.count, valueSize <= bytes.count - value else { return }
      let owner = bytes[name..<name + nameSize]
      if owner.elementsEqual(Array("Linux".utf8) + [0]) { isLinux = true }
      if type == 18, valueSize >= 4, owner.elementsEqual(Array("Xen".utf8) + [0]), pvhEntry == nil {
        pvhEntry = bytes.number(value, UInt32.self)
      }
      position = value + ((valueSize + 3) & ~3)
    }
  }
}
