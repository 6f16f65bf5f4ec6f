import CLinux
import Failures
import Glibc

/// An image or block device that was opened, checked and locked.
struct OpenedDisk {
  let descriptor: Int32
  /// Bytes.
  let size: UInt64
  let memoryAlignment: Int
  let lengthAlignment: Int

  init(path: String, cache: StorageCacheMode, isReadOnly: Bool, takesAnyFormat: Bool = true) throws(Failure) {
    let action = "open disk \(path)"
    // Checked before the open, because opening a FIFO would block.
    var status = stat()
    guard stat(path, &status) == 0 else { throw Self.openFailure(action, path, errno, cache, isReadOnly) }
    switch status.st_mode & S_IFMT {
    case S_IFREG, S_IFBLK: break
    case S_IFDIR: throw Failure(action, cause: "it is a directory", fix: "Name a raw image or a block device.")
    default:
      throw Failure(
        action, cause: "it is neither a file nor a block device", fix: "Name a raw image or a block device.")
    }
    var flags = isReadOnly ? O_RDONLY : O_RDWR
    if cache == .none { flags |= Int32(CLINUX_O_DIRECT) }
    if cache == .writethrough, !isReadOnly { flags |= Int32(CLINUX_O_DSYNC) }
    // On a block device, O_EXCL fails while it is mounted or another program has it exclusively.
    if status.st_mode & S_IFMT == S_IFBLK, !isReadOnly { flags |= O_EXCL }
    let descriptor = clinux_open(path, flags)
    guard descriptor >= 0 else { throw Self.openFailure(action, path, errno, cache, isReadOnly) }
    do throws(Failure) {
      guard clinux_lock_file(descriptor, isReadOnly ? 0 : 1) == 0 else {
        if errno != EWOULDBLOCK { throw Failure(action, errno: errno) }
        throw Failure(
          action, cause: "another process uses it",
          fix: isReadOnly
            ? "Find it with: fuser \(path)" : "Stop it (fuser \(path) shows which), or give each VM its own copy.")
      }
      size = try Self.size(of: descriptor, path, action)
      if !takesAnyFormat, let format = DiskFormat(of: path, size: size) {
        throw Failure(
          action, cause: "its format is \(format.rawValue), and swiftlet takes only raw images",
          fix: "Convert it: qemu-img convert -O raw \(path) \(path).raw, or set format=raw.")
      }
      (memoryAlignment, lengthAlignment) = try Self.alignment(of: descriptor, path, action, cache)
    } catch {
      close(descriptor)
      throw error
    }
    self.descriptor = descriptor
  }

  private static func openFailure(
    _ action: String, _ path: String, _ code: Int32, _ cache: StorageCacheMode, _ isReadOnly: Bool
  ) -> Failure {
    switch code {
    case ENOENT: return Failure(action, cause: "there is no such file", fix: "Create one: truncate -s 1G \(path)")
    case EACCES, EPERM:
      let fix = isReadOnly ? "Allow it: chmod u+r \(path)" : "Allow it: chmod u+rw \(path), or open it read-only."
      return Failure(action, errno: code, fix: fix)
    case EBUSY:
      return Failure(
        action, cause: "it is mounted, or another program uses it",
        fix: "Find out with lsblk \(path) and fuser \(path). Unmount it, or open it read-only.")
    case EROFS: return Failure(action, errno: code, fix: "Open it read-only.")
    case EINVAL where cache == .none:
      return Failure(action, cause: "its file system does not support O_DIRECT", fix: "Use cache=writeback.")
    default: return Failure(action, errno: code)
    }
  }

  private static func size(of descriptor: Int32, _ path: String, _ action: String) throws(Failure) -> UInt64 {
    var status = stat()
    try systemCall(action) { fstat(descriptor, &status) }
    var size: UInt64 = 0
    if status.st_mode & S_IFMT == S_IFBLK {
      try systemCall(action) { clinux_block_device_size(descriptor, &size) }
    } else {
      size = UInt64(clamping: status.st_size)
    }
    guard size > 0 else {
      throw Failure(action, cause: "it is empty", fix: "Give it a size: truncate -s 1G \(path)")
    }
    guard size % 512 == 0 else {
      let rounded = (size / 512 + 1) * 512
      throw Failure(
        action, cause: "its size, \(size) bytes, is not a multiple of 512",
        fix: "Round it up: truncate -s \(rounded) \(path)")
    }
    return size
  }

  /// The alignment that O_DIRECT requires: from the kernel if it reports it, else from trial reads.
  private static func alignment(
    of descriptor: Int32, _ path: String, _ action: String, _ cache: StorageCacheMode
  ) throws(Failure) -> (memory: Int, length: Int) {
    guard cache == .none else { return (1, 1) }
    var memory: UInt32 = 0
    var offset: UInt32 = 0
    if clinux_direct_alignment(descriptor, &memory, &offset) != 0 {
      memory = 4096
      offset = 4096
      let page = UnsafeMutableRawPointer.allocate(byteCount: 8192, alignment: 4096)
      defer { page.deallocate() }
      if pread(descriptor, page, 512, 0) == 512 { offset = 512 }
      if pread(descriptor, page + 512, Int(offset), 0) == Int(offset) { memory = 512 }
    }
    // A guest's sectors have 512 bytes. Writing them to larger sectors would need a read first.
    guard offset <= 512 else {
      throw Failure(
        action, cause: "O_DIRECT needs transfers of \(offset) bytes here, and the guest's sectors have 512",
        fix: "Use cache=writeback.")
    }
    return (max(1, Int(memory)), 512)
  }
}
