import CLinux
import Glibc

/// An image format other than raw, recognized by its magic number.
///
/// A guest that used such a file as a raw disk would destroy the image.
enum DiskFormat: String {
  case qcow2, qed, vmdk, vdi, vhd, vhdx

  /// Detects the format of the file at `path`; nil means raw.
  init?(of path: String, size: UInt64) {
    let descriptor = clinux_open(path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    func bytes(at offset: UInt64, _ count: Int) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      return pread(descriptor, &bytes, count, off_t(clamping: offset)) == count ? bytes : []
    }
    let start = bytes(at: 0, 8)
    // A fixed VHD has only a footer.
    let ends = size >= 512 ? [start, bytes(at: size - 512, 8)] : [start]
    if start.starts(with: [0x51, 0x46, 0x49, 0xFB]) {
      self = .qcow2
    } else if start.starts(with: Array("QED\0".utf8)) {
      self = .qed
    } else if start.starts(with: Array("KDMV".utf8)) {
      self = .vmdk
    } else if start.elementsEqual("vhdxfile".utf8) {
      self = .vhdx
    } else if ends.contains(where: { $0.elementsEqual("conectix".utf8) }) {
      self = .vhd
    } else if bytes(at: 0x40, 4) == [0x7F, 0x10, 0xDA, 0xBE] {
      self = .vdi
    } else {
      return nil
    }
  }
}
