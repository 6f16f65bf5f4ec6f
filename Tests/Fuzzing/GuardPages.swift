import CLinux
import Glibc
import GuestMemory

/// Address space around guest memory that cannot be accessed, so that an access beyond it ends the process.
final class GuardPages {
  private var pages: [UnsafeMutableRawBufferPointer] = []

  init(around memory: GuestMemory) {
    for region in memory.regions {
      // As much as a 16-bit index of 16 bytes reaches, if the host has not mapped something else there.
      for size in [2 << 20, 64 << 10] where guardPages(at: region.host + region.count, size) { break }
      _ = guardPages(at: region.host - (64 << 10), 64 << 10)
    }
  }

  deinit { for page in pages { munmap(page.baseAddress, page.count) } }

  /// Returns whether the pages are at `place`. Without MAP_FIXED, the kernel takes another place if that is in use.
  private func guardPages(at place: UnsafeMutableRawPointer, _ size: Int) -> Bool {
    let mapped = mmap(place, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let mapped, mapped != clinux_map_failed() else { return false }
    if mapped == place {
      pages.append(UnsafeMutableRawBufferPointer(start: mapped, count: size))
    } else {
      munmap(mapped, size)
    }
    return mapped == place
  }
}
