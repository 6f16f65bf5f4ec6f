import Failures
import Glibc
import Sandbox
import Testing

@Suite("The identity of --user")
struct UserIdentityTests {
  @Test(
    "names and numbers, with or without a group", .enabled(if: geteuid() == 0, "needs root"),
    arguments: [("root", 0, 0), ("0", 0, 0), ("daemon", 1, 1), ("daemon:7", 1, 7), ("4000000:5", 4_000_000, 5)])
  func accepted(text: String, user: UInt32, group: UInt32) throws {
    let identity = try UserIdentity(text)
    #expect(identity.user == user && identity.group == group)
  }

  @Test(
    "the error says what is wrong",
    arguments: [
      ("", "the user is missing"), (":5", "the user is missing"), ("no-such-user", "there is no user 'no-such-user'"),
      ("-1", "there is no user '-1'"), ("4294967295", "there is no user"), ("4000000", "its group is unknown"),
      ("daemon:", "'' is not the number of a group"), ("daemon:x", "'x' is not the number"),
      ("1:4294967295", "is not the number"),
    ])
  func refused(text: String, cause: String) {
    let failure = #expect(throws: Failure.self) { _ = try UserIdentity(text) }
    #expect(failure?.cause.contains(cause) == true && failure?.fix != nil)
  }
}
