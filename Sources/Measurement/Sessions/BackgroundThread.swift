import Glibc

/// A thread that runs one closure, for work beside the measured threads.
public final class BackgroundThread: @unchecked Sendable {
  private let body: @Sendable () -> Void
  private var handle = pthread_t()

  public init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  /// Starts it; it keeps itself alive until it ends.
  public func start() {
    let box = Unmanaged.passRetained(self)
    pthread_create(
      &handle, nil,
      { argument in
        Unmanaged<BackgroundThread>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
  }

  public func join() { pthread_join(handle, nil) }
}
