import Measurement

/// The values of the page's template. A name occurs once, because a template looks up a missing value in the outer levels.
struct PageModel {
  struct Fact {
    var fact: String
    var value: String
  }

  struct Source {
    var label: String
    var facts: [Fact]
    var warnings: [String]
    /// What is missing from the report, or went wrong in it.
    var notices: [String]
    var skipped: [Fact]
    var failed: [Fact]
  }

  struct Sentence {
    /// The experiment; nil for a sentence about the whole report.
    var topic: String?
    var sentence: String
    /// The section with the numbers; nil for a sentence about the whole report.
    var target: String?
  }

  struct Legend {
    /// The side's marker, if the plots are curves.
    var glyph: String?
    var side: String
    var meaning: String
    var color: String
  }

  struct Panel {
    var caption: String?
    var plot: Plot
  }

  /// Two bars for each side: the paper's and ours.
  struct Twin {
    struct Bar {
      var barY: Double
      var barWidth: Double
      var color: String
      var textX: Double
      var textY: Double
      var text: String
    }
    struct Row {
      var side: String
      var sideY: Double
      var bars: [Bar]
    }
    var twinName: String
    var about: String
    var height: Double
    var twinRows: [Row]
  }

  struct Table {
    struct Row {
      var head: String
      var cells: [String]
    }
    var about: String
    var columns: [String]
    var rows: [Row]
  }

  struct Section {
    var id: String
    var heading: String
    var question: String
    var source: String?
    var finding: String?
    var reading: String
    var change: String?
    var answers: [String]
    var legend: [Legend]
    var panels: [Panel]
    var table: Table
    var twin: Twin?
    var then: Table?
    var ratios: Table?
    var versus: Table?
    var csv: String
  }

  var headline: String
  var sources: [Source]
  var conclusions: [Sentence]
  var sections: [Section]
  var gap: Table?
  var check: Table?
  var style = Style.text
}
