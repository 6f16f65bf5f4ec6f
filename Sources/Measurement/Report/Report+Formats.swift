import Foundation

extension Report {
  /// The JSON object of schema 1.
  package func json() throws -> Data { try Self.encoded(self) }

  package static func encoded(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value) + Data("\n".utf8)
  }

  /// One line for each record. A cell is empty if its value does not apply or is unknown.
  package var csv: String {
    let header = [
      "experiment", "mode", "device", "vmm", "blockBytes", "frameBytes", "queueDepth", "framesPerDoorbell", "vCPUs",
      "vms", "backend", "cache", "interrupts", "profile", "disabled", "access", "extraExits", "ranks",
      "kernel", "elements", "messageBytes", "order", "matrix", "unit", "mean", "ci95",
      "p50", "p99",
      "p999", "size", "jain", "worstShare", "operations", "exits",
      "kernelExits", "doorbells", "coalesced", "interruptsPerOperation", "bytesCopied", "vCPUSeconds", "ioSeconds",
      "endpointSeconds", "stealSeconds", "drops", "samples",
    ]
    func cell(_ value: (some CustomStringConvertible)?) -> String { value.map { Self.csvCell($0.description) } ?? "" }
    let lines = results.map { record -> String in
      let parameters = record.parameters
      let identity = [
        record.experiment.rawValue, record.mode.rawValue, record.device.rawValue, Self.csvCell(record.vmm),
      ]
      let varied = [
        cell(parameters.blockBytes), cell(parameters.frameBytes), cell(parameters.queueDepth),
        cell(parameters.framesPerDoorbell), cell(parameters.vCPUs), cell(parameters.vms), cell(parameters.backend),
        cell(parameters.cache), cell(parameters.interrupts), cell(parameters.profile),
        cell(parameters.disabled?.joined(separator: " ")),
        cell(parameters.access), cell(parameters.extraExits), cell(parameters.ranks), cell(parameters.kernel),
        cell(parameters.elements), cell(parameters.messageBytes), cell(parameters.order), cell(parameters.matrix),
      ]
      let measured = [
        Self.csvCell(record.unit), cell(record.throughput?.mean),
        cell(record.throughput?.ci95 ?? record.latency?.ci95), cell(record.latency?.p50), cell(record.latency?.p99),
        cell(record.latency?.p999),
        cell(record.size?.mean), cell(record.fairness?.jain), cell(record.fairness?.worstShare),
        cell(record.operations),
      ]
      let counted = [
        cell(record.perOperation.exits), cell(record.perOperation.kernelExits), cell(record.perOperation.doorbells),
        cell(record.perOperation.coalesced), cell(record.perOperation.interrupts),
        cell(record.perOperation.bytesCopied),
      ]
      let cost = [
        cell(record.cpuSeconds.vCPU), cell(record.cpuSeconds.io), cell(record.cpuSeconds.endpoint),
        cell(record.cpuSeconds.steal), cell(record.drops.values.reduce(0, &+)),
        record.samples.map(\.description).joined(separator: " "),
      ]
      return (identity + varied + measured + counted + cost).joined(separator: ",")
    }
    return ([header.joined(separator: ",")] + lines).joined(separator: "\n") + "\n"
  }

  /// Text as a cell of CSV. Some text comes from a file that another program may have written, so it may have commas, and a
  /// spreadsheet would run a cell that begins with "=".
  package static func csvCell(_ text: String) -> String {
    let plain = text.first.map { "=+@\t\r".contains($0) } == true ? "'" + text : text
    guard plain.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return plain }
    return "\"" + plain.replacing("\"", with: "\"\"") + "\""
  }
}
