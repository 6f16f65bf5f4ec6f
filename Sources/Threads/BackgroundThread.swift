import CLinux
import Glibc

/// A thread that runs one closure. Event loops and vCPUs have threads of their own.
// Unchecked: `handle` is set once, by `start`, before the calls that read it.
public final class BackgroundThread: @unchecked Sendable {
  private let body: @Sendable () -> Void
  private var handle = pthread_t()

  public init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  /// Starts the thread. It keeps this object alive until it ends.
  public func start() {
    clinux_install_kick_handler()
    let box = Unmanaged.passRetained(self)
    requireThread(
      pthread_create(
        &handle, nil,
        { argument in
          clinux_unblock_kick()
          Unmanaged<BackgroundThread>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().body()
          return nil
        }, box.toOpaque()))
  }

  /// Makes a blocking system call of the thread return with EINTR. Call between `start` and `join`.
  public func interrupt() { clinux_kick_thread(handle) }

  public func join() { pthread_join(handle, nil) }
}
