import Glibc

/// Pieces of memory that together hold one frame or one disk transfer, in order.
///
/// The owner keeps and refills the list, so that an operation does not allocate. The pieces point into guest RAM or a
/// bounce buffer, and are valid as long as that memory is.
// Unchecked: the pieces are pointers, and only the owner of the request or frame may use them.
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

  /// A position in a list, from which the list can be read on without a walk from its start.
  public struct Place: Sendable {
    fileprivate var piece = 0
    fileprivate var offset = 0
    public init() {}
  }

  /// Appends up to `bytes` bytes of `other` from `place` on, and moves `place` past them.
  public mutating func append(_ bytes: Int, of other: ScatterList, at place: inout Place) {
    var left = bytes
    while left > 0, let next = other.rest(at: &place) {
      let length = min(left, next.count)
      append(UnsafeMutableRawBufferPointer(rebasing: next[..<length]))
      place.offset += length
      left -= length
    }
  }

  /// The position of byte `offset`, or the end if the list is shorter.
  public func place(at offset: Int) -> Place {
    var place = Place()
    var skip = max(0, offset)
    while place.piece < pieces.count, skip >= pieces[place.piece].iov_len {
      skip -= pieces[place.piece].iov_len
      place.piece += 1
    }
    if place.piece < pieces.count { place.offset = skip }
    return place
  }

  /// The rest of the piece at `place`, or else the next piece; nil at the end.
  @inline(__always)
  private func rest(at place: inout Place) -> UnsafeMutableRawBufferPointer? {
    while place.piece < pieces.count {
      let piece = pieces[place.piece]
      if place.offset < piece.iov_len {
        return UnsafeMutableRawBufferPointer(
          start: piece.iov_base + place.offset, count: piece.iov_len - place.offset)
      }
      place.piece += 1
      place.offset = 0
    }
    return nil
  }

  public mutating func removeAll() {
    pieces.removeAll(keepingCapacity: true)
    count = 0
  }

  /// Removes the first `bytes` bytes.
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

  /// Removes all but the first `bytes` bytes.
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

  /// The address of byte `offset`; nil beyond the end.
  public func address(at offset: Int) -> UnsafeMutableRawPointer? {
    var skip = offset
    for piece in pieces {
      if skip < piece.iov_len { return piece.iov_base + skip }
      skip -= piece.iov_len
    }
    return nil
  }

  /// Copies from byte `offset` on into `target` until either ends. Returns the number of bytes copied.
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

  /// Copies `source` into the list from byte `offset` on until either ends. Returns the number of bytes copied.
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

  /// Copies `length` bytes from `offset` of this list to byte `start` of `target`, until either list ends.
  ///
  /// The two may overlap if a guest sets them up so. The overlapping bytes then have unspecified contents.
  ///
  /// - Returns: the number of bytes copied.
  @discardableResult
  public func copy(from offset: Int = 0, count length: Int, to target: ScatterList, at start: Int = 0) -> Int {
    var (from, to) = (place(at: offset), target.place(at: start))
    var done = 0
    while done < length, let source = rest(at: &from), let sink = target.rest(at: &to) {
      let bytes = min(length - done, source.count, sink.count)
      memmove(sink.baseAddress.unsafelyUnwrapped, source.baseAddress.unsafelyUnwrapped, bytes)
      from.offset += bytes
      to.offset += bytes
      done += bytes
    }
    return done
  }
}
