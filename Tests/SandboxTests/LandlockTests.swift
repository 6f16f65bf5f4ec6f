import Glibc
import Testing

@testable import Sandbox

@Suite("Landlock on older kernels (Documentation/userspace-api/landlock.rst)")
struct LandlockTests {
  @Test(
    "each ABI gets the rights that it knows, and the others are reported as missing",
    arguments: [
      (0, 0, 0, 0, 6), (1, 0x1FFF, 0, 0, 5), (2, 0x3FFF, 0, 0, 4), (3, 0x7FFF, 0, 0, 3), (4, 0x7FFF, 3, 0, 2),
      (5, 0xFFFF, 3, 0, 1), (6, 0xFFFF, 3, 3, 0), (7, 0xFFFF, 3, 3, 0), (9, 0xFFFF, 3, 3, 0),
    ] as [(Int, UInt64, UInt64, UInt64, Int)])
  func levels(abi: Int, files: UInt64, network: UInt64, scopes: UInt64, missing: Int) {
    let landlock = Landlock(abi: abi)
    #expect(landlock.rights == (files, network, scopes))
    #expect(landlock.missing.count == missing)
  }

  @Test("a kernel without Landlock gives its reason")
  func absent() {
    #expect(Landlock(abi: 0, code: ENOSYS).reason.contains("older than 5.13"))
    #expect(Landlock(abi: 0, code: EOPNOTSUPP).reason.contains("lsm="))
    #expect(Landlock(abi: 0, code: EPERM).reason.contains("container"))
  }
}
