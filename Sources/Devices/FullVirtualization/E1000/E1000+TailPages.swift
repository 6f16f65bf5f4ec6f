import EventLoop
import Registers

/// The tails that the guest stores in RAM, as a source that the loop polls. Between polls, a timer looks at TDT until the
/// guest stores no more; then the page closes, and the next store signals the doorbell.
///
/// RDT needs no timer, except while the backend holds a frame: then the search for buffers looks at it.
extension E1000: PolledSource {
  package func check() -> Bool {
    let transmitter = transmitter.value
    if transmitPage.isShown, transmitPage.words[E1000Register.tdt] != transmitter.seenTail { return true }
    guard let tail = transmitter.starvedTail else { return false }
    return receivePage.isShown && receivePage.words[E1000Register.rdt] != tail
  }

  package func serve() {
    transmitter.value.starvedTail = nil
    offerHeldFrames()
    transmit()
  }

  /// The timer goes on looking, so nothing is lost.
  package func arm() -> Bool { check() }

  package func disarm() {}

  /// The timer's look at TDT.
  func lookAtTail() {
    if check() { serve() }
    guard access({ $0.tailLooked() }) else { return }
    transmitPage.close()
    // A store just before that, which signals nothing.
    if check() { serve() }
  }
}
