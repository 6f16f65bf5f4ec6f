import CGuest

/// `program=tails rounds=`: sends numbered frames by an e1000, and writes the tail for each. Between two bursts it does
/// what may happen to a device in the middle of traffic. The host checks that each frame arrives once, in order.
func tails(_ arguments: CommandLine) {
  let rounds = arguments.number("rounds", default: 60)
  let driver = E1000Driver(index: 0, mode: .poll, style: .lean, frameBytes: 60)
  let home = driver.base
  let clock = Clock()
  var number: UInt64 = 0
  func send(_ count: Int) {
    for _ in 0..<count {
      var place = driver.transmitBuffer()
      while place == nil {
        cpu_pause()
        place = driver.transmitBuffer()
      }
      let buffer = UnsafeMutableRawPointer(bitPattern: UInt(place ?? 0)).unsafelyUnwrapped
      buffer.initializeMemory(as: UInt8.self, repeating: 0xFF, count: 60)
      ring_store64(UInt64(UInt(bitPattern: buffer)) + 16, number)
      number += 1
      driver.transmit(bytes: 60, segmentSize: 0)
      driver.kick()
    }
  }
  func wait(microseconds: UInt64) {
    let end = clock.now + microseconds * 1_000
    while clock.now < end { cpu_pause() }
  }
  for round in 0..<rounds {
    send(200)
    switch round % 6 {
    case 0: driver.restartTransmit()
    case 1: driver.flickerMemorySpace()
    case 2: driver.move(to: driver.base == home ? home + 0x100_0000 : home)
    case 3:
      while !driver.hasSentAll { cpu_pause() }
      driver.reset()
    case 4: wait(microseconds: 25_000)
    default:
      // A page without stores closes after 1 ms, so some of these come at that moment.
      for step in 0..<20 as Range<UInt64> {
        wait(microseconds: 950 + 10 * step)
        send(1)
      }
    }
  }
  while !driver.hasSentAll { cpu_pause() }
  var line = JSONLine(event: "tails")
  line.add("frames", number)
  line.end()
}
