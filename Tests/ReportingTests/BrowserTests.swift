import Foundation
import Measurement
import TestSupport
import Testing

@testable import Reporting

@Suite("The page in a browser", .needsChromium, .serialized, .timeLimit(.minutes(10)))
struct BrowserTests {
  @Test("it loads without errors, and nothing overflows or collides", arguments: [380, 1280])
  func fits(width: Int) throws {
    for reports in [[try SampleReport.full()], [try SampleReport.full(), try SampleReport.full()]] {
      let (found, console) = try Browser.load(try Page(reports).html(), width: width)
      #expect(console == [])
      #expect(found.has <= Double(width) && found.has > Double(width) - 30)
      #expect(found.needs <= found.has)
      #expect(found.outside == [])
      #expect(found.collisions == [])
    }
  }

  @Test("long words of a file do not widen the page")
  func longWords() throws {
    let word = String(repeating: "x", count: 300)
    let report = try SampleReport.full {
      $0["commandLine"] = word
      $0["skipped"] = [["experiment": word, "reason": word]]
      var host = $0["host"] as? [String: Any] ?? [:]
      host["cpu"] = word
      $0["host"] = host
    }
    let (found, _) = try Browser.load(try Page([report]).html(), width: 380)
    #expect(found.needs <= found.has && found.outside == [])
  }

  @Test("the numbers in the tables are those of the JSON")
  func numbers() throws {
    let report = try SampleReport.full()
    let (found, _) = try Browser.load(try Page([report]).html(), width: 1280)
    let object = try #require(try JSONSerialization.jsonObject(with: report.json()) as? [String: Any])
    let results = try #require(object["results"] as? [[String: Any]])
    var checked = 0
    for record in results {
      let name = try #require(record["experiment"] as? String)
      let table = try #require(
        found.tables.first { $0.key.hasPrefix("\(name): ") && $0.key.hasSuffix("all numbers") }?.value)
      let mean: String
      let half: String
      // Formatted here again, independently of the page.
      func text(_ value: Double) -> String {
        String(format: value == 0 || value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value)
      }
      if let throughput = record["throughput"] as? [String: Any] {
        let value = try #require(throughput["mean"] as? Double)
        let unit = try #require(throughput["unit"] as? String)
        let divisor = unit == "bytes/s" ? 1e6 : value >= 1e9 ? 1e9 : value >= 1e6 ? 1e6 : value >= 1e3 ? 1e3 : 1
        let prefix = divisor == 1 ? "" : divisor == 1e3 ? "thousand " : divisor == 1e6 ? "million " : "billion "
        mean = "\(text(value / divisor)) \(unit == "bytes/s" ? "MB/s" : prefix + unit)"
        half = text(try #require(throughput["ci95"] as? Double) / divisor)
      } else {
        let latency = try #require(record["latency"] as? [String: Any])
        mean = "\(text(try #require(latency["p50"] as? Double) / 1000)) µs"
        half = text(try #require(latency["ci95"] as? Double) / 1000)
      }
      let mode = try #require(record["mode"] as? String)
      let side = record["vmm"] as? String == "qemu" ? "QEMU \(mode)" : mode
      #expect(table.contains { $0.count > 4 && $0[1...3] == [side, mean, half] }, "\(name) \(side) \(mean) ± \(half)")
      checked += 1
    }
    #expect(checked == report.results.count)
  }

  @Test("the switch between 2009 and today works without a script")
  func emphasis() throws {
    let (found, _) = try Browser.load(try Page([try SampleReport.full()]).html(), width: 1280)
    #expect(found.emphasis == ["1 1", "1 0.35", "0.35 1"])
  }

  @Test("the probe finds an error, an overflow and a collision")
  func probe() throws {
    let page = """
      <!doctype html><body><section class="experiment" id="x"><div class="pair"><div class="paper"></div>
      <div class="today"></div></div></section><input id="view-both"><input id="view-2009"><input id="view-today">
      <div class="wide" style="width:2000px">x</div><svg width="50" height="20"><text y="12">one long text</text>
      <text y="12">another</text></svg><script>console.error("broken")</script>
      """
    let (found, console) = try Browser.load(page, width: 380)
    #expect(console.count == 1)
    #expect(found.needs > found.has && found.outside == ["DIV.wide"])
    #expect(found.collisions.contains("outside: one long text") && found.collisions.contains("one long text | another"))
  }
}
