import EventLoop
import Failures
import Glibc

/// Reports when an interface of the host gains or loses its link.
///
/// The interface has a link while it is up and has a carrier, and its bridge, if any, is up. Used on the event loop.
// Unchecked: only the loop's thread uses it once `init` has returned.
final class LinkMonitor: @unchecked Sendable {
  private(set) var hasLink: Bool
  private let index: Int32
  /// The bridge that it is a port of.
  private var master: Int32?
  private let socket: NetlinkSocket
  /// Asks in the interface's network namespace, which may not be that of the loop's thread.
  private let questions: NetlinkSocket
  private let loop: EventLoop
  private let changed: @Sendable (Bool) -> Void
  private var watch: EventLoop.WatchKey?
  /// Delay before a failed query is repeated, in nanoseconds.
  private static let patience: UInt64 = 100_000_000
  private var again: LoopTimer?

  /// - Parameter changed: called on the loop with the new value of `hasLink`.
  init(index: Int32, loop: EventLoop, _ changed: @escaping @Sendable (Bool) -> Void) throws(Failure) {
    self.index = index
    self.loop = loop
    self.changed = changed
    // RTMGRP_LINK. Subscribe before the first query, so that no change is missed.
    socket = try NetlinkSocket(groups: 1)
    questions = try NetlinkSocket(groups: 0)
    (hasLink, master) = try Self.look(at: index, questions)
    again = loop.makeTimer { [weak self] in self?.ask() }
    watch = try loop.watch(socket.descriptor) { [weak self] in self?.notified() }
  }

  deinit {
    if let watch { loop.remove(watch) }
    if let again { loop.remove(again) }
  }

  private static func look(
    at index: Int32, _ socket: NetlinkSocket
  ) throws(Failure) -> (hasLink: Bool, master: Int32?) {
    guard let link = try HostLink.at(index, through: socket) else { return (false, nil) }
    guard let master = link.master, let bridge = try HostLink.at(master, through: socket) else {
      return (link.hasCarrier, nil)
    }
    return (link.hasCarrier && bridge.isUp, master)
  }

  /// Drains the socket, and queries the link state again if a message concerns the interface or its bridge.
  ///
  /// The messages' contents are not used: the kernel may have dropped newer ones (ENOBUFS).
  private func notified() {
    var concernsUs = false
    for _ in 0..<64 {
      if let datagram = socket.receive() {
        concernsUs = concernsUs || isOurs(datagram)
      } else if errno == ENOBUFS {
        concernsUs = true
      } else {
        break
      }
    }
    if concernsUs { ask() }
  }

  private func ask() {
    guard let (now, master) = try? Self.look(at: index, questions) else {
      // The host is out of descriptors or memory. Keep the old state and retry.
      again?.set(after: Self.patience)
      return
    }
    self.master = master
    guard now != hasLink else { return }
    hasLink = now
    changed(now)
  }

  /// Whether a message (struct nlmsghdr and struct ifinfomsg) concerns the interface or its bridge.
  private func isOurs(_ datagram: [UInt8]) -> Bool {
    guard let message = NetlinkMessage(datagram[...]), message.body.count >= 16 else { return true }
    let changed = Int32(bitPattern: NetlinkMessage.word(message.body, 4))
    return changed == index || changed == master
  }
}
