import Foundation

/// What a test guest said on COM1, under whichever VMM.
package protocol GuestReport {
  var lines: [String] { get }
}

extension GuestReport {
  /// Each line's fields, as text; a line that is no JSON object is left out.
  package var events: [[String: String]] {
    lines.compactMap { line in
      let fields = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return fields?.mapValues { "\($0)" }
    }
  }

  /// The fields of the last line with this event, as text.
  package func event(_ name: String) -> [String: String]? { events.last { $0["event"] == name } }

  /// The names of events and of their fields, in order: what must not depend on the VMM.
  package var shape: [String] {
    events.map { fields in "\(fields["event"] ?? ""): " + fields.keys.sorted().joined(separator: " ") }
  }
}
