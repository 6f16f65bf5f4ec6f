import CLinux
import Glibc
import TestSupport

/// A block device over a file in memory. The kernel removes it with its last descriptor, however the test ends.
final class LoopDevice {
  /// True for root on a kernel with loop devices.
  static var isAvailable: Bool { (try? LoopDevice(SealedFile(size: 1 << 20))) != nil }

  let path: String
  private let file: SealedFile
  private let descriptor: Int32

  init(_ file: SealedFile) throws {
    self.file = file
    let control = open("/dev/loop-control", O_RDWR | O_CLOEXEC)
    defer { close(control) }
    // struct loop_config of linux/loop.h: fd, block_size, and LO_FLAGS_AUTOCLEAR in info.lo_flags.
    var configuration = [UInt32](repeating: 0, count: 304 / 4)
    configuration[0] = UInt32(bitPattern: file.descriptor)
    configuration[1] = 512
    configuration[15] = 4
    let (loopControlGetFree, loopConfigure): (UInt, UInt) = (0x4C82, 0x4C0A)
    // Another process may claim the free device first.
    for _ in 0..<10 {
      let number = clinux_ioctl(control, loopControlGetFree, 0)
      let place = "/dev/loop\(number)"
      let device = open(place, O_RDWR | O_CLOEXEC)
      if clinux_ioctl_pointer(device, loopConfigure, &configuration) == 0 {
        (path, descriptor) = (place, device)
        return
      }
      close(device)
    }
    throw SystemError()
  }

  deinit { close(descriptor) }

  private struct SystemError: Error {}
}
