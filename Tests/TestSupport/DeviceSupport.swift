/// A suite that imports `TestSupport` also gets the machine without a CPU. The fuzzers import only the latter, because
/// a program that is not a test cannot link Swift Testing.
@_exported import DeviceSupport
