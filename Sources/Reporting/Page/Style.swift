/// The page's style sheet. The colors of the sides are from Okabe and Ito's palette, which color-blind readers can tell apart.
enum Style {
  static let text = """
    :root{--paper:#fdfcfa;--ink:#1d1f23;--soft:#565b63;--line:#d9d6cf;--card:#f3f1ec;--link:#0b5c99;--warn:#fff1d6;
    --warn-line:#c98500;--host:#8a8f98;--guest:#009e73;--fv:#d55e00;--pv:#0072b2;--dot:#1d1f23}
    @media (prefers-color-scheme:dark){:root{--paper:#16181c;--ink:#e7e6e3;--soft:#a9adb5;--line:#3a3e46;--card:#1f2228;
    --link:#7cc0f4;--warn:#3a2d10;--warn-line:#e0a030;--host:#9aa0aa;--guest:#1fbd91;--fv:#f08a3c;--pv:#56b4e9;--dot:#f4f3f0}}
    *{box-sizing:border-box}
    html{color-scheme:light dark;scroll-behavior:smooth}
    body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
    "Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
    header,main{max-width:1240px;margin:0 auto;padding:0 20px}
    header{padding-top:28px}
    h1{font-size:clamp(1.5rem,1.1rem + 2vw,2.3rem);line-height:1.15;margin:.1em 0 .6em;letter-spacing:-.01em}
    h2{font-size:1.35rem;line-height:1.25;margin:0 0 .3em}
    h3{font-size:.82rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:0 0 .5em}
    p{margin:.4em 0 .8em}
    a{color:var(--link)}
    .kicker{color:var(--soft);margin:0}
    .skip{position:absolute;left:-999px}
    .skip:focus{left:8px;top:8px;background:var(--paper);padding:6px 10px;z-index:9}
    .view{position:absolute;opacity:0;pointer-events:none}
    .sources{display:grid;gap:14px;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr))}
    .source{background:var(--card);border-radius:8px;padding:14px 16px}
    .source h2{font-size:1.02rem}
    dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0;font-size:.9rem}
    dt{color:var(--soft)}
    dd{margin:0;min-width:0}
    .warning{background:var(--warn);border-left:4px solid var(--warn-line);padding:8px 12px;margin:10px 0 0;font-size:.9rem;
    border-radius:0 6px 6px 0}
    .switch{position:sticky;top:6px;display:flex;width:max-content;max-width:1200px;align-items:center;gap:4px;margin:18px max(20px,calc((100% - 1200px)/2)) 6px;padding:4px;
    background:var(--card);border:1px solid var(--line);border-radius:9px;font-size:.92rem;z-index:5}
    .switch span{padding:0 8px;color:var(--soft)}
    .switch label{padding:4px 14px;border-radius:6px;cursor:pointer}
    #view-both:checked~.switch label[for=view-both],#view-2009:checked~.switch label[for=view-2009],
    #view-today:checked~.switch label[for=view-today]{background:var(--ink);color:var(--paper)}
    #view-both:focus-visible~.switch label[for=view-both],#view-2009:focus-visible~.switch label[for=view-2009],
    #view-today:focus-visible~.switch label[for=view-today]{outline:3px solid var(--link);outline-offset:2px}
    #view-2009:checked~main .today,#view-today:checked~main .paper{opacity:.35}
    .short ul{padding-left:1.1em;margin:.4em 0;display:grid;gap:.35em}
    .short a{color:inherit;font-weight:600;text-decoration-color:var(--line);text-underline-offset:3px}
    .short a:hover{text-decoration-color:currentColor}
    .short{border-top:2px solid var(--ink);padding-top:14px;margin-top:14px}
    nav ol{list-style:none;padding:0;margin:20px 0;display:flex;flex-wrap:wrap;gap:6px}
    nav a{display:block;padding:4px 11px;border:1px solid var(--line);border-radius:999px;text-decoration:none;font-size:.88rem}
    .experiment,.short{scroll-margin-top:56px}
    .experiment{border-top:1px solid var(--line);padding:30px 0 22px}
    .question{font-size:1.08rem;color:var(--soft);max-width:44em;margin-top:0}
    .pair{display:grid;gap:26px 34px;grid-template-columns:minmax(0,1fr)}
    @media (min-width:1080px){.pair{grid-template-columns:minmax(0,1fr) 420px}}
    .today,.paper{min-width:0}
    .paper{background:var(--card);border-radius:8px;padding:16px;align-self:start;font-size:.94rem}
    .answer{font-weight:600;max-width:46em;margin:.2em 0 .5em}
    .legend{list-style:none;padding:0;margin:12px 0 4px;display:flex;flex-wrap:wrap;gap:2px 18px;font-size:.88rem;color:var(--soft)}
    .legend b{color:var(--ink)}
    .swatch{display:inline-block;width:13px;height:13px;border-radius:3px;margin-right:6px;vertical-align:-1px;background:var(--side)}
    .swatch.peer{background:repeating-linear-gradient(45deg,var(--side) 0 3px,transparent 3px 5px);border:1px solid var(--side)}
    .glyph{display:inline-block;width:19px;color:var(--side)}
    .host{--side:var(--host)}.guest{--side:var(--guest)}.fv{--side:var(--fv)}.pv{--side:var(--pv)}
    .plots{display:flex;flex-wrap:wrap;gap:18px 26px;align-items:flex-start}
    figure{margin:6px 0;min-width:0;max-width:100%}
    figcaption{font-size:.84rem;color:var(--soft);max-width:34em}
    .scroll{overflow-x:auto;max-width:100%}
    .scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
    svg{display:block;font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;max-width:none}
    svg text{fill:var(--ink)}
    svg .tick{text-anchor:end;fill:var(--soft);font-variant-numeric:tabular-nums}
    svg .axis-title,svg .strip.head{fill:var(--soft);font-size:11.5px}
    svg .label{text-anchor:middle}
    svg .strip{text-anchor:middle;font-size:11.5px;font-variant-numeric:tabular-nums}
    svg .strip.head{text-anchor:start}
    svg .strip.row{text-anchor:end;font-weight:600}
    .grid{stroke:var(--line);stroke-width:1;fill:none}
    .base{stroke:var(--ink);stroke-width:1;fill:none}
    .bar{fill:var(--side)}
    .bar.peer{fill-opacity:.35;stroke:var(--side);stroke-width:1.5;stroke-dasharray:3 2}
    .curve{fill:none;stroke:var(--side);stroke-width:2}
    .curve.peer{stroke-dasharray:5 3}
    .marker{fill:var(--side);stroke:var(--paper);stroke-width:1}
    .whisker{fill:none;stroke:var(--ink);stroke-width:1.4}
    .dot{fill:var(--dot);fill-opacity:.85;stroke:var(--paper);stroke-width:.8}
    .ratios{min-width:0;max-width:100%}
    .twin .side{font-weight:600}
    .twin .value{font-size:11px;fill:var(--soft)}
    .twin .then{fill-opacity:.38;stroke:var(--side);stroke-width:1}
    .paper table{font-size:.83rem}.paper th,.paper td{white-space:normal;padding-right:8px}
    .note,.download{font-size:.88rem;color:var(--soft);max-width:46em}
    details{margin:.6em 0}
    summary{cursor:pointer;font-size:.92rem}
    table{border-collapse:collapse;overflow-wrap:normal;font-size:.88rem;font-variant-numeric:tabular-nums;margin:8px 0}
    caption{text-align:left;color:var(--soft);padding-bottom:6px}
    th,td{padding:4px 12px 4px 0;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;font-weight:400}
    tbody th{white-space:normal;min-width:9em}
    thead th{color:var(--soft);vertical-align:bottom}
    th:first-child{text-align:left}
    tbody th{font-weight:600}
    @media (max-width:520px){body{font-size:16px}header,main{padding-left:14px;padding-right:14px}.switch{margin-left:14px}.paper{padding:14px}}
    @media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#ccc;--card:#f4f4f4;--link:#000;--dot:#000}
    body{font-size:10.5pt}.switch,.skip,.download,nav{display:none}
    header,main{max-width:none;padding:0}.experiment{padding:14px 0}figure,tr,.answer,.ratios,.paper,.source{break-inside:avoid}h2,h3{break-after:avoid}
    .scroll{overflow:visible}details::details-content{content-visibility:visible;display:block}
    table{font-size:7.5pt}th,td{white-space:normal;padding-right:6px}
    .pair{grid-template-columns:minmax(0,1fr)}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
    """
}
