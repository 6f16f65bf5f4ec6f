import EventLoop
import Failures
import Glibc

/// Tells when an interface of the host gains or loses its link.
///
/// It has one while it is there, up and with a carrier, and the bridge that it is a port of is up too. Used on the
/// event loop.
final class LinkMonitor: @unchecked Sendable {
  private(set) var hasLink: Bool
  private let index: Int32
  private let socket: NetlinkSocket
  private let loop: EventLoop
  private let changed: @Sendable (Bool) -> Void
  private var watch: EventLoop.WatchKey?

  /// - Parameter changed: called on the loop with what `hasLink` has become.
  init(index: Int32, loop: EventLoop, _ changed: @escaping @Sendable (Bool) -> Void) throws(Failure) {
    self.index = index
    self.loop = loop
    self.changed = changed
    // RTMGRP_LINK, before the first look so that no change falls between.
    socket = try NetlinkSocket(groups: 1)
    hasLink = Self.hasLink(index)
    watch = try loop.watch(socket.descriptor) { [weak self] in self?.notified() }
  }

  deinit { if let watch { loop.remove(watch) } }

  private static func hasLink(_ index: Int32) -> Bool {
    guard let link = try? HostLink.at(index), link.hasCarrier else { return false }
    guard let master = link.master, let bridge = try? HostLink.at(master) else { return true }
    return bridge.isUp
  }

  /// What a message says is not read: the kernel may have dropped others (ENOBUFS), so only asking again tells.
  private func notified() {
    for _ in 0..<64 { if socket.receive() == nil, errno != ENOBUFS { break } }
    let now = Self.hasLink(index)
    guard now != hasLink else { return }
    hasLink = now
    changed(now)
  }
}
