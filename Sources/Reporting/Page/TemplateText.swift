/// The page's templates, as text inside the program, so that the executable needs no files beside it.
///
/// The engine escapes all values for HTML. Only the style sheet, which is part of the program, is inserted as it is.
enum TemplateText {
  static let page = """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
    <meta name="color-scheme" content="light dark">
    <link rel="icon" href="data:,">
    <title>{{headline}}</title>
    <style>{{{style}}}</style>
    </head>
    <body>
    <a class="skip" href="#main">Skip to the results</a>
    <input class="view" type="radio" name="view" id="view-both" checked>
    <input class="view" type="radio" name="view" id="view-2009">
    <input class="view" type="radio" name="view" id="view-today">
    <header>
    <p class="kicker">swiftlet · emulated hardware (FV) against virtio (PV)</p>
    <h1>{{headline}}</h1>
    <div class="sources">
    {{#sources}}
    <section class="source" aria-label="{{label}}">
    <h2>{{label}}</h2>
    <dl>{{#facts}}<dt>{{fact}}</dt><dd>{{value}}</dd>{{/facts}}</dl>
    {{#warnings}}<p class="warning"><strong>Noisy host.</strong> {{.}}</p>{{/warnings}}
    {{#notices}}<p class="warning">{{.}}</p>{{/notices}}
    {{#skipped}}<p class="warning"><strong>Not measured: {{fact}}.</strong> {{value}}</p>{{/skipped}}
    {{#failed}}<p class="warning"><strong>Failed: {{fact}}.</strong> {{value}}</p>{{/failed}}
    </section>
    {{/sources}}
    </div>
    </header>
    <div class="switch" role="group" aria-label="Emphasis">
    <span>Emphasize</span>
    <label for="view-both">both</label><label for="view-2009">2009</label><label for="view-today">today</label>
    </div>
    <main id="main">
    <section aria-labelledby="in-short" class="short today">
    <h2 id="in-short">In short</h2>
    <ul>
    {{#conclusions}}<li>{{#target}}<a href="#{{.}}">{{topic}}</a>: {{/target}}{{sentence}}</li>{{/conclusions}}
    </ul>
    {{^conclusions}}<p>No two means are far enough apart for a statement.</p>{{/conclusions}}
    <p class="note">Each sentence is computed: its condition holds for the whole 95&nbsp;% interval. Where intervals overlap,
    nothing is said.</p>
    </section>
    <nav aria-label="Experiments"><ol>{{#sections}}<li><a href="#{{id}}">{{heading}}</a></li>{{/sections}}</ol></nav>
    {{#sections}}{{>section}}{{/sections}}
    {{#gap}}
    <section class="experiment" id="gap">
    <h2>Where the gap comes from</h2>
    <p class="question">How much of the gap between FV and PV do exits explain?</p>
    <div class="today">
    <p>A model: an exit stops the vCPU, so an operation takes longer by the number of its exits, each times its cost. The
    last column is FV/PV if each exit cost at most 1 µs, as with VT-x or AMD-V. It is a calculation, not a measurement. “≤”
    marks rows where exits may pass beside other work, so that they explain at most this much.</p>
    {{>table}}
    </div>
    </section>
    {{/gap}}
    {{#check}}
    <section class="experiment" id="check">
    <h2>Check of the model</h2>
    <p class="question">Does the model predict the time of exits that were added on purpose?</p>
    <div class="today">{{>table}}</div>
    </section>
    {{/check}}
    <section class="experiment" id="method">
    <h2>How the numbers were made</h2>
    <ul>
    <li>FV is full virtualization: the guest drives an emulated IDE disk or e1000. PV is paravirtualization: the guest drives
    virtio. Both use the same backend and the same meter.</li>
    <li>The sides of a point were measured in turn (A B A B). The first round is a warm-up; every other sample is shown as a
    dot, and none is dropped.</li>
    <li>A mean has its 95&nbsp;% interval by Student’s t. A ratio has its 95&nbsp;% interval by Fieller’s theorem for two independent
    means, with the degrees of freedom of the side with fewer samples. If the interval of the denominator includes 0, the
    interval of the ratio is unknown.</li>
    <li>Only verified data counts. A write’s time includes the final flush.</li>
    <li>The paper is: Lucas Nussbaum, Fabienne Anhalt, Olivier Mornard, Jean-Patrick Gelas, <cite>Linux-based virtualization
    for HPC clusters</cite>, Montreal Linux Symposium 2009. It measured Xen 3.3.1 and KVM 84 on two dual-core Xeon 5148 LV with a
    1 Gbit/s network. Our machine, guests and programs are others, so a ratio between 2009 and today mixes all of these
    changes.</li>
    </ul>
    </section>
    </main>
    </body>
    </html>

    """

  static let section = """
    <section class="experiment" id="{{id}}" aria-labelledby="{{id}}-h">
    <h2 id="{{id}}-h">{{heading}}</h2>
    <p class="question">{{question}}</p>
    <div class="pair">
    <div class="today">
    <h3>Today</h3>
    {{#answers}}<p class="answer">{{.}}</p>{{/answers}}
    <ul class="legend" aria-label="Legend">{{#legend}}<li>{{#glyph}}<span class="glyph {{color}}" aria-hidden="true">{{.}}</span>{{/glyph}}{{^glyph}}<span class="swatch {{color}}"></span>{{/glyph}}<b>{{side}}</b> {{meaning}}</li>{{/legend}}</ul>
    <div class="plots">
    {{#panels}}<figure><div class="scroll" tabindex="0" role="group" aria-label="Plot: {{heading}}">{{#plot}}{{>plot}}{{/plot}}</div>{{#caption}}<figcaption>{{.}}</figcaption>{{/caption}}</figure>{{/panels}}
    {{#ratios}}<div class="ratios">{{>table}}</div>{{/ratios}}
    </div>
    <p class="note">{{reading}}</p>
    {{#versus}}{{>table}}{{/versus}}
    <details><summary>The numbers as a table</summary>{{#table}}{{>table}}{{/table}}</details>
    <p class="download"><a href="data:text/csv;charset=utf-8,{{csv}}" download="swiftlet-{{id}}.csv">The numbers as CSV</a></p>
    </div>
    <div class="paper">
    <h3>2009{{#source}}: {{.}} of the paper{{/source}}</h3>
    {{#finding}}<p>{{.}}</p>{{/finding}}
    {{^finding}}<p>The paper has no such experiment.</p>{{/finding}}
    {{#twin}}{{>twin}}{{/twin}}
    {{#then}}{{>table}}{{/then}}
    {{#change}}<h3>What has changed</h3><p>{{.}}</p>{{/change}}
    </div>
    </div>
    </section>

    """

  static let table = """
    <div class="scroll" tabindex="0" role="region" aria-label="{{about}}"><table>
    <caption>{{about}}</caption>
    <thead><tr>{{#columns}}<th scope="col">{{.}}</th>{{/columns}}</tr></thead>
    <tbody>{{#rows}}<tr><th scope="row">{{head}}</th>{{#cells}}<td>{{.}}</td>{{/cells}}</tr>{{/rows}}</tbody>
    </table></div>
    """

  static let plot = """
    <svg viewBox="0 0 {{width}} {{height}}" width="{{width}}" height="{{height}}" role="img" aria-labelledby="{{name}}-t {{name}}-d">
    <title id="{{name}}-t">{{title}}</title><desc id="{{name}}-d">{{summary}}</desc>
    <text class="axis-title" x="4" y="13">{{axisTitle}}</text>
    {{#grid}}<path class="grid" d="M{{left}} {{y}}H{{right}}"/><text class="tick" x="{{tickX}}" y="{{y}}" dy="4">{{text}}</text>{{/grid}}
    <path class="base" d="M{{left}} {{base}}H{{right}}"/>
    {{#bars}}<rect class="bar {{color}}" x="{{x}}" y="{{y}}" width="{{barWidth}}" height="{{barHeight}}"><title>{{hint}}</title></rect>{{/bars}}
    {{#curves}}<polyline class="curve {{color}}" points="{{points}}"/>{{#markers}}<path class="marker {{color}}" d="{{path}}"><title>{{hint}}</title></path>{{/markers}}{{/curves}}
    {{#dots}}<circle class="dot" cx="{{x}}" cy="{{y}}" r="2"/>{{/dots}}
    {{#whiskers}}<path class="whisker" d="M{{x}} {{top}}V{{bottom}}M{{start}} {{top}}H{{end}}M{{start}} {{bottom}}H{{end}}"/>{{/whiskers}}
    {{#labels}}<text class="label" x="{{x}}" y="{{y}}">{{text}}</text>{{/labels}}
    {{#strip}}<text class="strip {{color}}" x="{{x}}" y="{{y}}">{{text}}</text>{{/strip}}
    </svg>
    """

  static let twin = """
    <svg class="twin" viewBox="0 0 286 {{height}}" width="286" height="{{height}}" role="img" aria-labelledby="{{twinName}}-t">
    <title id="{{twinName}}-t">{{about}}</title>
    {{#twinRows}}<text class="side" x="0" y="{{sideY}}">{{side}}</text>{{#bars}}<rect class="bar {{color}}" x="96" y="{{barY}}" width="{{barWidth}}" height="9"/><text class="value" x="{{textX}}" y="{{textY}}">{{text}}</text>{{/bars}}{{/twinRows}}
    </svg>
    <p class="note">{{about}}</p>
    """
}
