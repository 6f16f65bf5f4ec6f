/// A device on a board, and a guest that is driven by operations.
protocol Guest: AnyObject {
  /// - Parameter first: the input's first record, which selects options of the device.
  init(_ first: Operation) throws
  var board: Board { get }
  /// Performs an operation with a code from `Board.firstOwnCode` on.
  func perform(_ operation: Operation)
  /// Resets the device as a driver does, and traps unless it then works.
  func checkRecovery()
}

extension Guest {
  /// The number of codes: the board's, and 14 of the device.
  private static var codeCount: UInt8 { Board.firstOwnCode + 14 }

  /// Plays an input. The first record selects options, and the others are operations.
  static func play(_ bytes: UnsafeRawBufferPointer) {
    guard let first = Operation(bytes, at: 0) else { return }
    let guest: Self
    do { guest = try Self(first) } catch { fatalError("\(error)") }
    for index in 1...Operation.limit {
      guard var operation = Operation(bytes, at: index * Operation.size) else { break }
      operation.code %= codeCount
      if !guest.board.perform(operation) {
        operation.code -= Board.firstOwnCode
        guest.perform(operation)
      }
    }
    guest.board.settle()
    guest.checkRecovery()
  }
}
