import EventLoop
import Failures
import Glibc
import Synchronization

/// Where a serial port's output goes. Called on vCPU threads.
public protocol SerialBackend: AnyObject, Sendable {
  func transmit(_ byte: UInt8)
}

/// Nowhere.
public final class NullSerial: SerialBackend {
  public init() {}
  public func transmit(_ byte: UInt8) {}
}

/// A file descriptor: whole lines in one write, and what is left of a line soon after.
public final class DescriptorSerial: SerialBackend, @unchecked Sendable {
  /// A prompt without a newline appears within this time, in nanoseconds.
  private static let patience: UInt64 = 10_000_000

  private let descriptor: Int32
  private let ownsDescriptor: Bool
  private let buffer = Mutex<[UInt8]>([])
  private var timer: LoopTimer?

  public init(descriptor: Int32, ownsDescriptor: Bool = false, loop: EventLoop) {
    self.descriptor = descriptor
    self.ownsDescriptor = ownsDescriptor
    timer = loop.makeTimer { [weak self] in self?.flush() }
  }

  /// Writes to a new or emptied file.
  public convenience init(path: String, loop: EventLoop) throws(Failure) {
    let opened = try OutputFile.open(path, flags: O_WRONLY | O_TRUNC, "write the serial port to \(path)")
    self.init(descriptor: opened.descriptor, ownsDescriptor: true, loop: loop)
  }

  deinit {
    flush()
    if ownsDescriptor { close(descriptor) }
  }

  public func transmit(_ byte: UInt8) {
    let isFull = buffer.withLock { buffer in
      buffer.append(byte)
      return byte == 0x0A || buffer.count >= 4096
    }
    if isFull {
      flush()
    } else if timer?.deadline == nil {
      timer?.set(after: Self.patience)
    }
  }

  /// Writes what is buffered; what the descriptor refuses is lost, as on a cable without a reader.
  public func flush() {
    buffer.withLock { buffer in
      var done = 0
      while done < buffer.count {
        let count = buffer[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        done += count
      }
      buffer.removeAll(keepingCapacity: true)
    }
  }
}
