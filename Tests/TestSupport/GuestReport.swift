import Foundation

/// The lines that a test guest printed to COM1, under any VMM.
package protocol GuestReport {
  var lines: [String] { get }
}

extension GuestReport {
  /// Each line's fields, as text, without lines that are not JSON objects.
  package var events: [[String: String]] {
    lines.compactMap { line in
      let fields = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return fields?.mapValues { "\($0)" }
    }
  }

  /// The fields of the last line with this event, as text.
  package func event(_ name: String) -> [String: String]? { events.last { $0["event"] == name } }

  /// The names of events and of their fields, in order. They must not depend on the VMM.
  package var shape: [String] {
    events.map { fields in "\(fields["event"] ?? ""): " + fields.keys.sorted().joined(separator: " ") }
  }
}
