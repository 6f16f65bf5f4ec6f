import Foundation
import TestSupport
import Testing

@Suite("Kernels that cannot boot (literal offsets)", .needsKVM, .timeLimit(.minutes(10)))
struct KernelTests {
  let folder: TestFolder
  /// The test guest, as extracted by `swiftlet guest`.
  let image: [UInt8]

  init() throws {
    folder = try TestFolder()
    let result = try swiftlet(["guest", "guest.elf"], in: folder)
    #expect(result.status == 0 && result.output == "" && result.errors == "")
    image = try folder.read("guest.elf")
  }

  /// The offset of the program header of this type: 1 for PT_LOAD, 4 for PT_NOTE.
  private func header(_ type: UInt8) throws -> Int {
    let count = Int(image[56])
    return try #require((0..<count).map { 64 + 56 * $0 }.first { image[$0..<$0 + 4].elementsEqual([type, 0, 0, 0]) })
  }

  private func check(_ bytes: [UInt8], _ cause: String, _ fix: String) throws {
    try folder.write(bytes, to: "kernel")
    try Refusal("run --kernel kernel --append program=hello", cause, fix).check(in: folder)
  }

  @Test("the image from `swiftlet guest` boots")
  func whole() throws {
    let result = try swiftlet(["run", "--kernel", "guest.elf", "--append", "program=hello"], in: folder)
    #expect(result.status == 0)
    #expect(result.output == "{\"event\":\"hello\",\"cpus\":1}\n")
  }

  @Test("missing, or a directory")
  func missing() throws {
    try Refusal("run --kernel nothing", "there is no such file", "Use --kernel with vmlinuz, vmlinux, another PVH ELF")
      .check(in: folder)
    try Refusal("run --kernel .", "it is neither a file nor a pipe", "ls -l .").check(in: folder)
  }

  @Test("not a kernel, a 32-bit one, or one of another architecture")
  func kind() throws {
    let fix = "Give an x86-64 bzImage (vmlinuz) or an ELF with a PVH note (vmlinux)."
    try check(Array("#!/bin/sh\n".utf8) + [UInt8](repeating: 0, count: 100), "it is neither a bzImage nor an ELF", fix)
    try check([], "it is empty", fix)
    var arm = [UInt8](repeating: 0, count: 64)
    arm.replaceSubrange(0x38..<0x3C, with: Array("ARMd".utf8))
    try check(arm, "it is an arm64 kernel", fix)
    var old = [UInt8](repeating: 0, count: 4096)
    old.replaceSubrange(0x1FE..<0x208, with: [0x55, 0xAA, 0xEB, 0x6A] + Array("HdrS".utf8) + [0x0F, 0x02])
    try check(old, "it is a 32-bit kernel", "Give an amd64 kernel. Check it with: file kernel")
    try check(Array(old.prefix(0x208)), "the file is truncated", "Copy it again from its package.")
    var bytes = image
    bytes[4] = 1  // ELFCLASS32
    try check(bytes, "it is neither a 64-bit ELF for x86-64 nor a 32-bit one for the 80386", "Give an x86 kernel.")
    bytes = image
    bytes[18] = 183  // EM_AARCH64
    try check(bytes, "it is neither a 64-bit ELF for x86-64 nor a 32-bit one for the 80386", "Give an x86 kernel.")
    try Refusal("run --kernel /bin/ls", "it is a program for Linux user space", "Give a kernel: vmlinuz or vmlinux.")
      .check(in: folder)
  }

  @Test("truncated")
  func truncated() throws {
    try check(Array(image.prefix(image.count / 3)), "the file is truncated", "Copy or build it again.")
    try check(Array(image.prefix(100)), "the file is truncated", "Copy or build it again.")
  }

  @Test("without a PVH note")
  func noNote() throws {
    var bytes = image
    bytes[try header(4)] = 0
    try check(bytes, "it has no PVH entry point", "Give a kernel that has one.")
  }

  @Test("segments that overlap, wrap around, or lie beyond memory or over the start info")
  func segments() throws {
    var bytes = image
    // The note lies inside the only segment, so if it is loaded too, the two overlap.
    bytes[try header(4)] = 1
    try check(bytes, "two segments overlap at 0x1", "Link it again")
    let load = try header(1)
    bytes = image
    for index in 40..<48 { bytes[load + index] = 0xFF }
    try check(bytes, "or wraps around", "Link it again")
    bytes = image
    bytes[load + 24 + 4] = 1  // p_paddr at 4 GiB and more
    try check(bytes, "does not fit in 128 MiB", "--memory")
    bytes = image
    bytes.replaceSubrange(load + 24..<load + 32, with: [0, 0x70, 0, 0, 0, 0, 0, 0])
    try check(bytes, "covers 0x6000 to 0x10000", "Link it to another address")
    bytes = image
    bytes[load] = 0
    try check(bytes, "it has no loadable segment", "readelf -lW")
  }
}
