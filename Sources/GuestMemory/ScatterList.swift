import Glibc

/// Pieces of memory that together hold one frame or one disk transfer, in order.
///
/// Kept by its owner and refilled, so that an operation allocates nothing. The pieces point into guest RAM
/// or a bounce buffer and stay valid as long as that does.
public struct ScatterList: @unchecked Sendable {
  public private(set) var pieces: [iovec] = []
  /// Bytes in all pieces.
  public private(set) var count = 0

  public init() { pieces.reserveCapacity(64) }

  public init(_ buffer: UnsafeMutableRawBufferPointer) {
    pieces = []
    append(buffer)
  }

  public var isEmpty: Bool { count == 0 }

  @inline(__always)
  public mutating func append(_ buffer: UnsafeMutableRawBufferPointer) {
    guard !buffer.isEmpty else { return }
    if let last = pieces.last, last.iov_base.unsafelyUnwrapped + last.iov_len == buffer.baseAddress {
      pieces[pieces.count - 1].iov_len += buffer.count
    } else {
      pieces.append(iovec(iov_base: buffer.baseAddress, iov_len: buffer.count))
    }
    count += buffer.count
  }

  public mutating func append(contentsOf other: ScatterList) {
    for piece in other.pieces {
      append(UnsafeMutableRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
    }
  }

  public mutating func removeAll() {
    pieces.removeAll(keepingCapacity: true)
    count = 0
  }

  /// Drops the first `bytes` bytes.
  public mutating func removeFirst(_ bytes: Int) {
    var left = min(bytes, count)
    count -= left
    var whole = 0
    while whole < pieces.count, left >= pieces[whole].iov_len {
      left -= pieces[whole].iov_len
      whole += 1
    }
    pieces.removeFirst(whole)
    if left > 0 {
      pieces[0].iov_base += left
      pieces[0].iov_len -= left
    }
  }

  /// Keeps the first `bytes` bytes.
  public mutating func truncate(to bytes: Int) {
    guard bytes < count else { return }
    var left = max(0, bytes)
    count = left
    var keep = 0
    while left > 0 {
      if pieces[keep].iov_len >= left {
        pieces[keep].iov_len = left
        left = 0
      } else {
        left -= pieces[keep].iov_len
      }
      keep += 1
    }
    pieces.removeLast(pieces.count - keep)
  }

  /// Where byte `offset` lies; nil beyond the end.
  public func address(at offset: Int) -> UnsafeMutableRawPointer? {
    var skip = offset
    for piece in pieces {
      if skip < piece.iov_len { return piece.iov_base + skip }
      skip -= piece.iov_len
    }
    return nil
  }

  /// Copies from byte `offset` on into `target` until either ends; returns how many bytes were copied.
  @discardableResult
  public func copyOut(from offset: Int = 0, into target: UnsafeMutableRawBufferPointer) -> Int {
    var skip = offset
    var done = 0
    for piece in pieces {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let length = min(piece.iov_len - skip, target.count - done)
      if length <= 0 { break }
      memcpy(target.baseAddress.unsafelyUnwrapped + done, piece.iov_base.unsafelyUnwrapped + skip, length)
      done += length
      skip = 0
    }
    return done
  }

  /// Copies `source` over the list from byte `offset` on until either ends; returns how many bytes were copied.
  @discardableResult
  public func copyIn(from source: UnsafeRawBufferPointer, at offset: Int = 0) -> Int {
    var skip = offset
    var done = 0
    for piece in pieces {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let length = min(piece.iov_len - skip, source.count - done)
      if length <= 0 { break }
      memcpy(piece.iov_base.unsafelyUnwrapped + skip, source.baseAddress.unsafelyUnwrapped + done, length)
      done += length
      skip = 0
    }
    return done
  }

  /// Copies `length` bytes from `offset` of this list to the start of `target`; returns how many there were.
  @discardableResult
  public func copy(from offset: Int = 0, count length: Int, to target: ScatterList, at start: Int = 0) -> Int {
    var done = 0
    var skip = offset
    for piece in pieces where done < length {
      if skip >= piece.iov_len {
        skip -= piece.iov_len
        continue
      }
      let bytes = min(piece.iov_len - skip, length - done)
      let source = UnsafeRawBufferPointer(start: piece.iov_base.unsafelyUnwrapped + skip, count: bytes)
      let copied = target.copyIn(from: source, at: start + done)
      done += copied
      if copied < bytes { break }
      skip = 0
    }
    return done
  }
}
