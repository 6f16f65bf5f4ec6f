import Foundation

/// Compiles the guest's Swift, C and assembly for bare x86-64, links a PVH ELF and writes it as Swift source.
///
/// Arguments: swiftc, clang, ld.lld, the Guests folder, a folder for objects, the output file, the sources.
@main
struct GuestBuild {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count > 7 else {
      throw BuildFailure("usage: guest-build SWIFTC CLANG LLD GUESTS OBJECTS OUTPUT SOURCES")
    }
    let (swiftc, clang, linker) = (arguments[1], arguments[2], arguments[3])
    let guests = URL(filePath: arguments[4])
    let objects = URL(filePath: arguments[5])
    let sources = arguments[7...].map { URL(filePath: $0) }
    try FileManager.default.createDirectory(at: objects, withIntermediateDirectories: true)

    let target = "x86_64-unknown-none-elf"
    let headers = ["Runtime/include", "HPCC/include"].flatMap { ["-I", guests.appending(path: $0).path] }
    var linked: [String] = []
    for source in sources where ["c", "S"].contains(source.pathExtension) {
      // The host runs these as well, at another address. The linker script puts them into a section of their own.
      let isShared = source.deletingLastPathComponent().lastPathComponent == "HPCC"
      let object = objects.appending(path: (isShared ? "hpcc-" : "") + source.lastPathComponent + ".o").path
      // At CPL 0, interrupts use the stack of the interrupted code and would overwrite a red zone.
      try run(
        clang,
        [
          "--target=\(target)", "-ffreestanding", "-mno-red-zone", "-mcmodel=small", "-fno-builtin",
          "-fno-stack-protector", "-O2", "-Wall", "-Werror", "-c", source.path, "-o", object,
        ] + headers + (isShared ? ["-fpic"] : ["-fno-pic", "-fno-vectorize", "-fno-slp-vectorize"]))
      linked.append(object)
    }
    let module = objects.appending(path: "Guest.o").path
    try run(
      swiftc,
      [
        "-target", target, "-enable-experimental-feature", "Embedded", "-wmo", "-parse-as-library", "-O",
        "-swift-version", "6", "-Xfrontend", "-function-sections", "-Xfrontend", "-disable-stack-protector",
        "-Xcc", "-ffreestanding", "-Xcc", "-mno-red-zone", "-Xcc", "-fno-pic", "-module-name", "Guest",
        "-module-cache-path", objects.appending(path: "ModuleCache").path,
        "-c", "-o", module,
      ] + headers + sources.filter { $0.pathExtension == "swift" }.map(\.path))
    linked.append(module)

    let image = objects.appending(path: "guest.elf").path
    let script = guests.appending(path: "Runtime/Assembly/guest.ld").path
    try run(linker, ["-static", "--gc-sections", "-T", script, "-o", image] + linked)
    let bytes = try Data(contentsOf: URL(filePath: image))
    try source(of: bytes).write(to: URL(filePath: arguments[6]), atomically: true, encoding: .utf8)
  }

  /// Writes the image as a string of hexadecimal digits, since an array literal of this size takes minutes to compile.
  private static func source(of image: Data) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * image.count)
    for byte in image {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return "let guestImageDigits: StaticString = \"\(String(decoding: text, as: UTF8.self))\"\n"
  }

  private static func run(_ tool: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: tool)
    process.arguments = arguments
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw BuildFailure("\(tool) failed with status \(process.terminationStatus)")
    }
  }
}

struct BuildFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
