import CLinux
import Glibc
import GuestMemory

/// Address space around guest memory that cannot be accessed, so that an access beyond it ends the process.
final class GuardPages {
  private static let size = 64 << 10
  private var pages: [UnsafeMutableRawPointer] = []

  init(around memory: GuestMemory) {
    for region in memory.regions {
      for place in [region.host - Self.size, region.host + region.count] {
        // Without MAP_FIXED, the kernel takes another place if there is a mapping already.
        let page = mmap(place, Self.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if let page, page != clinux_map_failed() { pages.append(page) }
      }
    }
  }

  deinit { for page in pages { munmap(page, Self.size) } }
}
