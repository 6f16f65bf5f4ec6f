import TestSupport
import Testing

/// Tests that boot guests on /dev/kvm. They run one after another, since a guest needs the host's two processors.
@Suite("Guests on /dev/kvm", .serialized, .needsKVM)
enum GuestTests {}
