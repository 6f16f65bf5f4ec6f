import TestSupport
import Testing

/// Tests that boot guests on /dev/kvm: one after another, since a guest wants the host's two processors for itself.
@Suite("guests on /dev/kvm", .serialized, .needsKVM)
enum GuestTests {}
