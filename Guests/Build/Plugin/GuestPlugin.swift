import Foundation
import PackagePlugin

/// Compiles the test guest as part of the build of the target that contains it.
///
/// One command runs `guest-build`, which compiles, links and writes the image as Swift source. Every input is listed,
/// so only a change of a guest, a header or the linker script rebuilds it.
@main
struct GuestPlugin: BuildToolPlugin {
  func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
    let package = context.package.directoryURL
    let guests = package.appending(path: "Guests")
    let inputs =
      try ["Runtime", "Drivers", "HPCC", "Programs"].flatMap { try files(below: guests.appending(path: $0)) }
      + ["Registers", "Workload"].flatMap { try files(below: package.appending(path: "Sources").appending(path: $0)) }
    let output = context.pluginWorkDirectoryURL.appending(path: "GuestImageData.swift")
    return [
      .buildCommand(
        displayName: "Building the test guest",
        executable: try context.tool(named: "guest-build").url,
        arguments: [
          try context.tool(named: "swiftc").url.path, try context.tool(named: "clang").url.path,
          try context.tool(named: "ld.lld").url.path,
          guests.path, context.pluginWorkDirectoryURL.appending(path: "objects").path, output.path,
        ] + inputs.map(\.path),
        inputFiles: inputs,
        outputFiles: [output])
    ]
  }

  private func files(below folder: URL) throws -> [URL] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
    let kinds = ["swift", "c", "S", "h", "ld", "modulemap"]
    return names.map { folder.appending(path: $0) }.filter { kinds.contains($0.pathExtension) }
  }
}
