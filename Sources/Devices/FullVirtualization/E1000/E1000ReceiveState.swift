import GuestMemory
import Registers

/// What the receiver remembers between frames. Guarded by the device's lock.
struct E1000ReceiveState {
  /// A frame found no descriptor and waits in the backend.
  var isStarved = false
  /// How many descriptors the last frame wants.
  var neededDescriptors = 1
  /// The next search for held-back tail writes comes after so many nanoseconds.
  var searchDelay = Self.shortestSearch
  static var shortestSearch: UInt64 { 100_000 }
  static var longestSearch: UInt64 { 1_000_000 }

  /// A frame came since the last burst ended.
  var isInBurst = false
  /// Held-back writes were applied as this burst ran out of buffers.
  var hasSearched = false
  /// Packets were stored in this burst.
  var storedPackets = false
  /// What else to raise as the burst ends.
  var burstCauses: E1000InterruptCause = []
  /// Packets wait for RDTR or RADV to interrupt.
  var isInterruptDelayed = false
  /// The buffers of the packet that is being stored; kept so that nothing is allocated.
  var buffers = ScatterList()
  /// Where their descriptors lie, counted from the head.
  var places: [Int] = []

  /// A held frame stays with the backend through a reset, so starvation does too.
  mutating func reset() {
    storedPackets = false
    burstCauses = []
    isInterruptDelayed = false
    neededDescriptors = 1
  }
}

/// Memory that takes what a guest's bad addresses would have got, and gives padding.
final class E1000Scratch: @unchecked Sendable {
  /// As long as the longest buffer.
  let sink = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)
  let zeroes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
  /// The start of the packet that is being received.
  let header = UnsafeMutableRawBufferPointer.allocate(byteCount: 96, alignment: 16)

  init() {
    sink.initializeMemory(as: UInt8.self, repeating: 0)
    zeroes.initializeMemory(as: UInt8.self, repeating: 0)
    header.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit {
    sink.deallocate()
    zeroes.deallocate()
    header.deallocate()
  }
}
