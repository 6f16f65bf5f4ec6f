import DeviceSupport

/// Changes inputs: byte by byte, or for a target that takes operations, one operation at a time.
package struct Mutator {
  private var random: RandomNumbers
  private let takesOperations: Bool

  package init(_ target: FuzzTarget, seed: UInt64) {
    random = RandomNumbers(seed: seed)
    takesOperations = target.takesOperations
  }

  private mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(max(1, limit))) }
  private mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: random.next()) }

  /// Changes `input` in one to four places.
  package mutating func mutate(_ input: inout [UInt8], limit: Int) {
    for _ in 0...below(4) { takesOperations ? changeOperations(&input, limit) : changeBytes(&input, limit) }
  }

  /// Inserts, removes, repeats, swaps or changes an operation.
  private mutating func changeOperations(_ input: inout [UInt8], _ limit: Int) {
    let size = Operation.size
    let count = input.count / size
    let place = below(count + 1) * size
    let hasRoom = input.count + size <= limit
    switch below(8) {
    case 0 where hasRoom: input.insert(contentsOf: (0..<size).map { _ in byte() }, at: place)
    case 1 where count > 1 && place + size <= input.count: input.removeSubrange(place..<place + size)
    case 2 where hasRoom && place + size <= input.count:
      // The same operation again, elsewhere.
      input.insert(contentsOf: Array(input[place..<place + size]), at: below(count + 1) * size)
    case 3 where count > 1:
      let (first, second) = (below(count) * size, below(count) * size)
      for index in 0..<size { input.swapAt(first + index, second + index) }
    case 4 where count > 0:
      // A number that is near: indices and lengths are wrong by one more often than by a thousand.
      let index = below(count) * size + 1 + below(size - 1)
      input[index] = input[index] &+ [1, 255, 2, 16, 128][below(5)]
    default:
      if input.isEmpty { input = (0..<size).map { _ in byte() } }
      changeByte(&input)
    }
  }

  private mutating func changeByte(_ input: inout [UInt8]) {
    let index = below(input.count)
    switch below(3) {
    case 0: input[index] = byte()
    case 1: input[index] ^= 1 << below(8)
    default: input[index] = [0, 0xFF, 0x7F, 0x80][below(4)]
    }
  }

  private mutating func changeBytes(_ input: inout [UInt8], _ limit: Int) {
    let place = below(input.count + 1)
    switch below(6) {
    case 0 where input.count < limit: input.insert(byte(), at: place)
    case 1 where place < input.count: input.removeSubrange(place..<min(input.count, place + 1 + below(8)))
    case 2 where input.count >= 4:
      // A number of four bytes that is 0, small, large or negative.
      let start = below(input.count - 3)
      let value = [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x1000, 0xFFFF_FFF0][below(6)] as UInt32
      for index in 0..<4 { input[start + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
    case 3 where input.count > 1 && input.count < limit:
      let start = below(input.count)
      let end = min(input.count, start + 1 + below(16), start + limit - input.count)
      if end > start { input.insert(contentsOf: Array(input[start..<end]), at: place) }
    default:
      if input.isEmpty { input = [byte()] }
      changeByte(&input)
    }
  }
}
