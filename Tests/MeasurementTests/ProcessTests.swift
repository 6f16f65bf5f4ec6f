import Failures
import Testing

@testable import Measurement

@Suite("A VMM as a process", .timeLimit(.minutes(10)))
struct ProcessTests {
  @Test("anonymous memory is summed, without mappings as large as the guest's RAM")
  func memory() {
    let text = """
      7f00-7f10 rw-p 00000000 00:00 0
      Size:             131072 kB
      Rss:              131072 kB
      Anonymous:        131000 kB
      VmFlags: rd wr
      7f20-7f30 rw-p 00000000 00:00 0  [heap]
      Size:               1024 kB
      Rss:                 600 kB
      Anonymous:           512 kB
      7f40-7f50 r-xp 00000000 08:01 77 /usr/lib/libc.so.6
      Size:               2048 kB
      Anonymous:             4 kB
      """
    #expect(VMMProcess.anonymousMemory(smaps: text, without: 128 << 20) == 516 << 10)
    #expect(VMMProcess.anonymousMemory(smaps: text, without: 1 << 40) == 131_516 << 10)
    #expect(VMMProcess.anonymousMemory(smaps: "", without: 1) == 0)
  }

  @Test("a program that ends without output is an error with its command, and so is one that does not exist")
  func silent() throws {
    for command in [["/bin/true"], ["no-such-vmm", "run"]] {
      let process = try VMMProcess(command)
      defer { process.end() }
      do {
        _ = try process.waitForByte()
        Issue.record("\(command) printed a byte")
      } catch {
        #expect("\(error)".contains("ended before its guest printed a byte"))
        #expect("\(error)".contains("Run it by hand: \(command.joined(separator: " "))"))
      }
    }
  }

  @Test("bytes come in order, and the program's age grows")
  func bytes() throws {
    let process = try VMMProcess(["printf", "ab"])
    defer { process.end() }
    #expect(try process.waitForByte() == 0x61)
    let age = process.age
    #expect(try process.waitForByte() == 0x62)
    #expect(process.age >= age && age > 0)
  }
}
