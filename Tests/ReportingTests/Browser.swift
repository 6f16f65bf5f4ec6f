import Foundation
import Testing

/// Loads a page in headless Chromium, in a frame of a given width, and measures it there.
struct Browser {
  struct Findings: Decodable {
    /// The width that the page needs, and the width that it has.
    var needs: Double
    var has: Double
    /// Elements beyond the right edge that no scroll box holds.
    var outside: [String]
    /// Texts of a picture that are outside it or cover each other.
    var collisions: [String]
    /// The text of each cell of each table, by the table's caption.
    var tables: [String: [[String]]]
    /// The opacity of the first section's two halves, with "both", "2009" and "today" chosen.
    var emphasis: [String]
  }

  private static let probe = """
    <!doctype html><meta charset="utf-8"><body style="margin:0"><iframe id="frame" src="page.html"
    style="border:0;width:WIDTHpx;height:900px"></iframe><pre id="result"></pre><script>
    onload = () => {
      const view = frame.contentWindow, page = view.document, found = {};
      found.needs = page.documentElement.scrollWidth; found.has = page.documentElement.clientWidth;
      const box = e => e.getBoundingClientRect();
      for (const details of page.querySelectorAll("details")) details.open = true;
      found.outside = [...page.body.querySelectorAll("*")].filter(e =>
        !e.closest(".scroll") && !e.classList.contains("skip") && box(e).right > found.has + 1)
        .map(e => e.tagName + "." + e.className);
      found.collisions = [];
      for (const picture of page.querySelectorAll("svg")) {
        const all = [...picture.querySelectorAll("text")], edge = box(picture);
        all.forEach((text, index) => {
          const a = box(text);
          if (a.left < edge.left - 1 || a.right > edge.right + 1 || a.bottom > edge.bottom + 1)
            found.collisions.push("outside: " + text.textContent);
          for (const other of all.slice(index + 1)) {
            const b = box(other);
            if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
              found.collisions.push(text.textContent + " | " + other.textContent);
          }
        });
      }
      found.tables = {};
      for (const table of page.querySelectorAll("table")) {
        let name = table.caption.textContent, section = table.closest(".experiment").id;
        found.tables[section + ": " + name] = [...table.rows].map(r => [...r.cells].map(c => c.textContent));
      }
      found.emphasis = ["view-both", "view-2009", "view-today"].map(name => {
        page.getElementById(name).click();
        return view.getComputedStyle(page.querySelector(".pair .paper")).opacity + " "
          + view.getComputedStyle(page.querySelector(".pair .today")).opacity;
      });
      result.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(found))));
    };
    </script>
    """

  /// - Returns: the findings, and what the browser printed to its console.
  static func load(_ html: String, width: Int) throws -> (findings: Findings, console: [String]) {
    let folder = URL(filePath: NSTemporaryDirectory()).appending(path: "swiftlet-browser-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(html.utf8).write(to: folder.appending(path: "page.html"))
    let probe = folder.appending(path: "probe.html")
    try Data(Self.probe.replacing("WIDTH", with: String(width)).utf8).write(to: probe)
    let outputs = try ["dom", "log"].map { name in
      let file = folder.appending(path: name)
      FileManager.default.createFile(atPath: file.path, contents: nil)
      return try FileHandle(forUpdating: file)
    }
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/timeout")
    // The frame's page is a file of its own, and only this switch lets the probe look into it.
    process.arguments = [
      "-k", "5", "60", "/usr/bin/chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
      "--disable-dev-shm-usage", "--user-data-dir=\(folder.path)/profile", "--allow-file-access-from-files",
      "--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=\(width + 40),1000", "--dump-dom",
      probe.absoluteString,
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = outputs[0]
    process.standardError = outputs[1]
    try process.run()
    process.waitUntilExit()
    let texts = try outputs.map { file in
      try file.seek(toOffset: 0)
      return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    }
    let result = try #require(
      texts[0].firstMatch(of: /<pre id="result">([A-Za-z0-9+\/=]+)<\/pre>/), "no result; the browser's log: \(texts[1])"
    )
    let data = try #require(Data(base64Encoded: String(result.1)))
    let console = texts[1].split(separator: "\n").map(String.init).filter { $0.contains(":CONSOLE") }
    return (try JSONDecoder().decode(Findings.self, from: data), console)
  }
}
