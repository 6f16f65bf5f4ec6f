import CFuzzer
import Glibc

// One program for all targets. libFuzzer starts it again to merge a corpus, so an environment variable selects the
// target: FUZZ_TARGET=e1000 swiftlet-fuzz [LIBFUZZER ARGUMENTS]

// Each input builds a device anew. Keep the freed memory: giving it to the kernel and back takes half of the time.
mallopt(M_TRIM_THRESHOLD, 256 << 20)
mallopt(M_TOP_PAD, 16 << 20)
mallopt(M_MMAP_THRESHOLD, 64 << 20)

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
  LLVMFuzzerRunDriver(&count, &arguments) { data, size in
    Selection.run(UnsafeRawBufferPointer(start: data, count: size))
    return 0
  })
