/// Traps with `message` unless `isTrue`, also in an optimized build, where `precondition` prints no message.
@inline(__always)
func check(_ isTrue: Bool, _ message: @autoclosure () -> String) { if !isTrue { fatalError(message()) } }
