"use strict";
// Draws the report from the JSON in the page. Texts of rows only ever become text nodes.
const { summary, settings, rows, sampling } = JSON.parse(document.getElementById("data").textContent);
const measures = summary.measures;
const main = document.querySelector("main");
const nav = document.querySelector("nav");
const KEPT = "var(--good)", REJECTED = "var(--bad)";
const widest = () => Math.min(940, main.clientWidth);
let width = widest(); // of charts
const RESIZED_MS = 150; // from the last resize event until the charts are drawn again
const MOST_REASONS = 30;
const BY_DESIGN = new Set(["superseded", "not_the_best_sample", "not_paired", "paired_as_rejected", "over_target", "no_quota"]); // no fault of the rows

const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits });
const fine = (value) => (value === null ? "–" : Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 }));
const share = (part, whole) => (whole ? `${number((100 * part) / whole, 1)}\u00a0%` : "–");
const sum = (list, of) => list.reduce((total, one) => total + of(one), 0);

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function section(id, title, ...children) {
  const found = children.flat(Infinity).filter(Boolean);
  if (!found.length) return;
  nav.append(el("a", { href: `#${id}` }, title));
  main.append(el("section", { "aria-labelledby": id }, el("h2", { id }, title), found));
}

// `columns`: [title, value of a row, whether it is a number]
function table(columns, list) {
  const cell = (tag, content, numeric) => el(tag, numeric ? { class: "n" } : {}, content instanceof Node ? content : String(content));
  return el("div", { class: "wide", tabindex: "0" },
    el("table", {},
      el("thead", {}, el("tr", {}, columns.map(([title, , numeric]) => cell("th", title, numeric)))),
      el("tbody", {}, list.map((row) => el("tr", {}, columns.map(([, of, numeric]) => cell("td", of(row), numeric)))))));
}

function folded(title, ...children) {
  return el("details", {}, el("summary", {}, title), children);
}

const redraws = [];

// `plot`: returns the options of the chart, which may depend on `width`
function figure(label, plot, caption) {
  const draw = () => {
    const options = plot();
    return Plot.plot({ width, marginTop: 10, marginBottom: 44, ariaLabel: label, style: { background: "none" }, ...options, x: { labelOffset: 38, ...options.x } });
  };
  const node = el("figure", {}, draw(), caption ? el("figcaption", {}, caption) : null);
  redraws.push(() => node.firstChild.replaceWith(draw()));
  return node;
}

let resized = null;
addEventListener("resize", () => {
  clearTimeout(resized);
  resized = setTimeout(() => {
    if (widest() === width) return;
    width = widest();
    redraws.forEach((redraw) => redraw());
  }, RESIZED_MS);
});

function legend(kept = "kept", rejected = "rejected") {
  return el("p", { class: "dim" },
    el("span", { class: "legend kept" }), kept, el("span", { class: "legend rejected" }), rejected);
}

const room = (labels) => Math.min(320, 0.7 * width, 30 + 7 * Math.max(...labels.map((label) => label.length)));
const tall = (labels) => 54 + 24 * labels.length;

// --- sections

function head() {
  const revision = summary.teacher?.revision.replace(/([0-9a-f]{12})[0-9a-f]{20,}/g, "$1…");
  const teacher = summary.teacher ? `${summary.teacher.model} ${revision}`.trim() : "no teacher";
  const read = summary.stages[0].rows_in;
  const checked = Object.values(summary.verdicts).at(-1);
  const ratio = measures.diversity.at(-1);
  const tiles = [
    ["rows read", number(read)],
    [summary.released ? "rows released" : "rows accepted so far", number(measures.accepted)],
    ["accepted per row read", fine(read ? measures.accepted / read : null)],
    ["tokens out per released row", number(summary.tokens_out_per_released)],
    ["tokens in per released row", number(summary.tokens_in_per_released)],
    ["of the rows pass all checks that apply", checked ? share(checked.passed, checked.rows) : "–"],
    [`compression ratio of ${ratio ? ratio.texts : "texts"}`, ratio ? fine(ratio.accepted) : "–"],
  ];
  main.append(
    el("p", { class: "dim" }, `${summary.state.replaceAll("_", " ")} · ${teacher} · seed ${summary.seed} · synth ${summary.synth}`),
    summary.warnings.length ? el("div", { class: "warning", role: "note" }, summary.warnings.map((one) => el("p", {}, one))) : "",
    el("ul", { class: "tiles" }, tiles.map(([title, value]) => el("li", {}, el("b", {}, value), title))));
}

function funnel() {
  const stages = summary.stages.map((one) => one.stage);
  const bars = summary.stages.flatMap((one) => [
    { stage: one.stage, fate: "kept", rows: one.rows_kept },
    { stage: one.stage, fate: "rejected", rows: one.rows_rejected },
  ]);
  return [
    legend(),
    figure("Rows kept and rejected by each stage", () => ({
      marginLeft: room(stages),
      height: tall(stages),
      x: { label: "rows", grid: true },
      y: { domain: stages, label: null },
      color: { domain: ["kept", "rejected"], range: [KEPT, REJECTED] },
      marks: [Plot.barX(bars, { x: "rows", y: "stage", fill: "fate", tip: true, order: ["kept", "rejected"] }), Plot.ruleX([0])],
    })),
    table([
      ["stage", (one) => one.stage],
      ["rows", (one) => one.kind],
      ["in", (one) => number(one.rows_in), true],
      ["made", (one) => number(one.rows_made), true],
      ["kept", (one) => number(one.rows_kept), true],
      ["rejected", (one) => number(one.rows_rejected), true],
      ["share kept", (one) => share(one.rows_kept, one.rows_kept + one.rows_rejected), true],
      ["seconds", (one) => number(one.seconds, 1), true],
    ], summary.stages),
    el("p", { class: "dim" }, "Rows in + made = kept + rejected. Seconds are the sum over shards, which run side by side."),
  ];
}

function reasons() {
  const all = summary.stages.flatMap((one) =>
    Object.entries(one.reasons).map(([reason, count]) => ({ stage: one.stage, reason, label: `${one.stage}  ${reason}`, rows: count, of: one.rows_kept + one.rows_rejected })));
  if (!all.length) return [];
  const most = new Set([...all].sort((a, b) => b.rows - a.rows).slice(0, MOST_REASONS));
  const shown = all.filter((one) => most.has(one));
  const labels = shown.map((one) => one.label);
  return [
    figure("Rejected rows by stage and reason", () => ({
      marginLeft: room(labels),
      marginRight: 44,
      height: tall(labels),
      x: { label: "rejected rows", grid: true },
      y: { domain: labels, label: null },
      marks: [
        Plot.barX(shown, { x: "rows", y: "label", fill: (one) => (BY_DESIGN.has(one.reason) ? "var(--dim)" : REJECTED), tip: true, title: (one) => `${one.label}\n${number(one.rows)} rows, ${share(one.rows, one.of)} of the stage` }),
        Plot.text(shown, { x: "rows", y: "label", text: (one) => number(one.rows), textAnchor: "start", dx: 4, fill: "currentColor" }),
      ],
    }), [
      shown.length < all.length ? `The ${shown.length} most frequent of ${all.length} reasons. ` : "",
      shown.some((one) => BY_DESIGN.has(one.reason)) ? "Grey: rows that a stage leaves out by choice, such as further samples." : "",
    ].join("")),
    folded("Table; a reason opens its rows",
      table([
        ["stage", (one) => one.stage],
        ["reason", (one) => el("button", { class: "link", type: "button", onclick: () => explore({ stage: one.stage, reason: one.reason }) }, one.reason)],
        ["rows", (one) => number(one.rows), true],
        ["of the stage", (one) => share(one.rows, one.of), true],
      ], all)),
  ];
}

function byStyle(operations) {
  const found = new Map();
  for (const one of operations) {
    const style = one.operation.split("/")[0];
    const key = `${one.stage}: ${style}`;
    const group = found.get(key) || { ...one, operation: style, label: key, replies: 0, tokens_in: 0, tokens_out: 0, accepted: 0 };
    for (const name of ["replies", "tokens_in", "tokens_out", "accepted"]) group[name] += one[name];
    found.set(key, group);
  }
  return [...found.values()];
}

function cost() {
  const styles = byStyle(measures.operations);
  if (!sum(styles, (one) => one.tokens_in + one.tokens_out)) return [];
  const bars = styles.filter((one) => one.accepted && one.tokens_in + one.tokens_out).flatMap((one) => [
    { label: one.label, tokens: one.tokens_in / one.accepted, way: "in" },
    { label: one.label, tokens: one.tokens_out / one.accepted, way: "out" },
  ]);
  const labels = [...new Set(bars.map((one) => one.label))];
  const prices = { in: 0, out: 0 };
  const money = (one) => (one.tokens_in * prices.in + one.tokens_out * prices.out) / 1e6;
  const columns = [
    ["stage", (one) => one.stage],
    ["operation", (one) => one.operation],
    ["replies", (one) => (one.replies || !one.tokens_in ? number(one.replies) : "–"), true],
    ["tokens in", (one) => number(one.tokens_in), true],
    ["tokens out", (one) => number(one.tokens_out), true],
    ["accepted rows", (one) => number(one.accepted), true],
    ["accepted per reply", (one) => (one.replies ? fine(one.accepted / one.replies) : "–"), true],
    ["tokens per accepted row", (one) => number(one.accepted ? (one.tokens_in + one.tokens_out) / one.accepted : null, 1), true],
    ["cost per 1,000 accepted", (one) => (one.accepted && (prices.in || prices.out) ? fine((1000 * money(one)) / one.accepted) : "–"), true],
  ];
  const place = el("div", {});
  const whole = { stage: "all", operation: "", replies: sum(styles, (one) => one.replies), tokens_in: summary.tokens_in, tokens_out: summary.tokens_out, accepted: measures.accepted };
  const draw = () => {
    const detailed = measures.operations.length > styles.length;
    place.replaceChildren(
      table(columns, [...styles, whole]),
      ...(detailed ? [folded("By audience", table(columns, measures.operations))] : []));
  };
  const price = (way, title) => el("label", {}, title,
    el("input", { type: "number", min: "0", step: "any", inputmode: "decimal", oninput: (event) => { prices[way] = Number(event.target.value) || 0; draw(); } }));
  draw();
  return [
    bars.length ? figure("Tokens per accepted row, by operation", () => ({
      marginLeft: room(labels),
      height: tall(labels),
      x: { label: "tokens per accepted row", grid: true },
      y: { domain: labels, label: null },
      color: { domain: ["in", "out"], range: ["var(--dim)", "var(--accent)"], legend: true },
      marks: [Plot.barX(bars, { x: "tokens", y: "label", fill: "way", tip: true }), Plot.ruleX([0])],
    })) : null,
    el("form", { onsubmit: (event) => event.preventDefault() }, price("in", "price of a million tokens in"), price("out", "price of a million tokens out")),
    place,
    el("p", { class: "dim" }, "An accepted row counts for each operation in its trail. The tokens are those of the operation's own replies, accepted or not, those from the journal included. The replies of judges are not counted."),
  ];
}

function evolution() {
  const list = measures.rounds;
  if (!list.length) return [];
  const figures = table([
    ["stage", (one) => one.stage],
    ["round", (one) => one.round, true],
    ["operation", (one) => one.operation],
    ["tried", (one) => number(one.tried), true],
    ["survived", (one) => number(one.survived), true],
    ["share", (one) => share(one.survived, one.tried), true],
    ["judged", (one) => number(one.judged), true],
    ["mean gain", (one) => fine(one.mean_gain), true],
  ], list);
  if (Math.max(...list.map((one) => one.round)) === 1) return [figures];
  const fy = new Set(list.map((one) => one.stage)).size > 1 ? "stage" : undefined;
  const judged = list.filter((one) => one.judged);
  const chart = (label, data, y, title, options = {}) => figure(label, () => ({
    width: Math.min(460, width), height: 270, marginTop: 30, marginRight: 20,
    x: { label: "round", domain: [...new Set(list.map((one) => one.round))].sort((a, b) => a - b), type: "point" },
    y: { label: title, grid: true, zero: true, ...options },
    color: { legend: true, scheme: "tableau10" },
    fy: fy && { label: null },
    marks: [
      Plot.ruleY([0]),
      Plot.lineY(data, { x: "round", y, stroke: "operation", fy }),
      Plot.dot(data, { x: "round", y, fill: "operation", r: 4, tip: true, fy }),
    ],
  }));
  return [
    el("div", { class: "grid", style: "grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr))" },
      chart("Share of children that survived, by round", list, (one) => one.survived / one.tried, "share that survived (%)", { percent: true }),
      judged.length ? chart("Mean judged gain, by round", judged, "mean_gain", "mean gain") : null),
    folded("Table", figures),
  ];
}

const verdictLabel = (verdict) => (verdict === "unverified" ? "unreadable" : verdict.replaceAll("_", " "));

function verdicts() {
  const names = ["pass", "fail", "error", "unverified", "not_applicable"];
  const list = Object.entries(summary.verdicts).flatMap(([where, found]) =>
    Object.entries(found.checks).map(([check, counts]) => ({ where, check, counts, label: `${where}  ${check}` })));
  if (!list.length) return [el("p", {}, "No verifier checked these rows: whether they are right is unknown.")];
  const bars = list.flatMap((one) => names.map((name) => ({ label: one.label, verdict: name, rows: one.counts[name] || 0 })));
  const labels = list.map((one) => one.label);
  return [
    figure("Verdicts of each check", () => ({
      marginLeft: room(labels),
      height: tall(labels),
      x: { label: "rows", grid: true },
      y: { domain: labels, label: null },
      color: { domain: names, range: [KEPT, REJECTED, "#b04a8f", "#8a7fd0", "var(--line)"], legend: true, tickFormat: verdictLabel },
      marks: [Plot.barX(bars, { x: "rows", y: "label", fill: "verdict", order: names, tip: true }), Plot.ruleX([0])],
    })),
    table([
      ["where", (one) => one.where],
      ["check", (one) => one.check],
      ...names.map((name) => [verdictLabel(name), (one) => number(one.counts[name] || 0), true]),
    ], list),
  ];
}

const limitsInWords = (limits) => Object.entries(limits).map(([name, value]) => `${name} ${number(value, 4)}`).join(", ");
const plain = (value) => Number(value.toPrecision(3)).toString();

function histogram(label, bins, limits = {}) {
  const low = bins[0].low, high = bins.at(-1).high;
  const whole = low % 1 !== 0 && bins.every((bin) => bin.high - bin.low === 1); // a bar for each whole number
  const growth = (bin) => bin.high / bin.low;
  const log = low > 0 && bins.length > 2 && Math.abs(growth(bins[0]) - growth(bins[1])) < 1e-6;
  const every = Math.ceil(bins.length / 7);
  const ticks = whole ? bins.filter((_, at) => at % every === 0).map((bin) => bin.low + 0.5) : log ? 4 : 5;
  const parts = bins.flatMap((bin) => [
    { ...bin, fate: "kept", rows: bin.kept },
    { ...bin, fate: "rejected", rows: bin.rejected },
  ]).filter((part) => part.rows);
  const lines = Object.entries(limits)
    .map(([name, value]) => (whole ? value + (name.startsWith("max") ? 0.5 : -0.5) : value))
    .filter((value) => value >= low && value <= high);
  return Plot.plot({
    width: 300, height: 150, marginLeft: 44, marginRight: 16, ariaLabel: label, style: { background: "none" },
    x: { type: log ? "log" : "linear", domain: [low, high], label: null, ticks, tickFormat: plain },
    y: { label: null, grid: true, ticks: 4, tickFormat: "~s" },
    color: { domain: ["kept", "rejected"], range: [KEPT, REJECTED] },
    marks: [
      Plot.rectY(parts, {
        x1: "low", x2: "high", y: "rows", fill: "fate", order: ["kept", "rejected"], tip: true,
        title: (part) => `${whole ? part.low + 0.5 : `${plain(part.low)} to ${plain(part.high)}`}: ${number(part.rows)} rows ${part.fate}`,
      }),
      lines.length ? Plot.ruleX(lines, { stroke: "currentColor", strokeWidth: 2, strokeDasharray: "4 3" }) : null,
      Plot.ruleY([0]),
    ],
  });
}

function scores() {
  const telling = (one) => one.bins.length > 2 || (one.bins.length === 2 && Object.keys(one.limits).length);
  const charts = measures.scores.filter(telling);
  const rest = measures.scores.filter((one) => !telling(one));
  return [
    charts.length ? el("p", {}, "Each score with its limits (dashed lines), to see what another limit would do.") : null,
    charts.length ? legend("kept by this filter", "rejected by it") : null,
    charts.length ? el("div", { class: "grid" }, charts.map((one) =>
      el("figure", {}, el("b", {}, `${one.stage}  ${one.score}`),
        histogram(`Histogram of ${one.score} at ${one.stage}`, one.bins, one.limits),
        el("figcaption", {}, `${number(one.rows)} rows, ${number(one.rejected)} rejected; median ${fine(one.quantiles.p50)}`,
          Object.keys(one.limits).length ? `; ${limitsInWords(one.limits)}` : "")))) : null,
    rest.length ? el("p", { class: "dim" }, "Not drawn, with one or two values: ",
      rest.map((one) => `${one.stage} ${one.score} (median ${fine(one.quantiles.p50)})`).join(", "), ".") : null,
  ];
}

function lengths() {
  const list = measures.lengths;
  if (!list.length) return [];
  const labels = list.map((one) => one.texts);
  const flat = list.map((one) => ({ texts: one.texts, ...one.quantiles }));
  return [
    figure("Lengths in words", () => ({
      marginLeft: room(labels),
      height: tall(labels),
      x: { label: "words", grid: true, type: "log", tickFormat: "~s" },
      y: { domain: labels, label: null },
      marks: [
        Plot.ruleY(flat, { x1: "p5", x2: "p95", y: "texts", stroke: "var(--dim)" }),
        Plot.ruleY(flat, { x1: "p25", x2: "p75", y: "texts", stroke: "var(--accent)", strokeWidth: 9 }),
        Plot.dot(flat, { x: "p50", y: "texts", fill: "var(--ink)", stroke: "var(--paper)", r: 5, tip: true }),
      ],
    }), `Point: median. Bar: the middle half. Line: from 5\u00a0% to 95\u00a0%.${sampledTexts()}`),
    folded("Histograms and table",
      el("div", { class: "grid" }, list.map((one) => el("figure", {}, el("b", {}, one.texts), histogram(`Histogram of the words of ${one.texts}`, one.bins)))),
      table([
        ["texts", (one) => one.texts],
        ["rows", (one) => number(one.rows), true],
        ...["p5", "p25", "p50", "p75", "p95"].map((name) => [name, (one) => fine(one.quantiles[name]), true]),
      ], list)),
  ];
}

function sampledTexts() {
  const every = measures.texts_every;
  return every > 1 ? ` A sample: the texts of one shard in ${number(every)}.` : "";
}

function diversity() {
  if (!measures.diversity.length) return [];
  return [
    table([
      ["texts", (one) => one.texts],
      ["compression ratio of the seeds", (one) => fine(one.seeds), true],
      ["of the accepted rows", (one) => fine(one.accepted), true],
      ["bytes of each", (one) => number(one.bytes), true],
    ], measures.diversity),
    el("p", { class: "dim" }, `zlib's compression ratio of a sample, at equal bytes. A higher ratio means more repetition. Human-written task prompts reach about 2.5.${sampledTexts()}`),
    Object.entries(measures.novelty).map(([stage, one]) => el("p", {},
      `NovelSum by the embeddings of ${stage}: ${fine(one.compared)} for the rows that came to it, ${fine(one.kept)} for those that it kept, each on a sample of ${number(one.texts)} rows. Higher is more diverse. Values of different embedding models do not compare.`)),
    measures.diversity.filter((one) => Object.keys(one.openings).length).map((one) => folded(
      `Most frequent openings of ${one.texts}, of ${number(one.sampled)} sampled`,
      table([
        ["first five words", ([opening]) => opening],
        ["texts", ([, count]) => number(count), true],
        ["share", ([, count]) => share(count, one.sampled), true],
      ], Object.entries(one.openings)))),
  ];
}

function contamination() {
  if (!measures.contamination.length) {
    return [el("p", {}, "No stage compared these rows with benchmarks. The stage ", el("code", {}, "decontaminate"), " does.")];
  }
  return measures.contamination.map((one) => [
    el("p", {}, `${one.stage} compared ${number(one.rows)} rows with ${one.against.join(", ")}` +
      (Object.keys(one.found).length ? "." : " and found nothing.") +
      (one.unjudged ? ` It kept ${number(one.unjudged)} rows that resemble an item, because no judge decided about them.` : "")),
    Object.keys(one.found).length ? table([
      ["found", ([reason]) => reason],
      ["rows", ([, count]) => number(count), true],
      ["share", ([, count]) => share(count, one.rows), true],
    ], Object.entries(one.found)) : null,
  ]).flat();
}

function teacher() {
  const asking = summary.stages.filter((one) => one.requests);
  const notes = summary.stages.flatMap((one) => one.notes.map((note) => `${one.stage}: ${note}`));
  const ended = (stage) => Object.entries(measures.finish_reasons[stage] || {}).map(([reason, count]) => `${reason || "none"} ${number(count)}`).join(", ");
  return [
    asking.length ? table([
      ["stage", (one) => one.stage],
      ["requests", (one) => number(one.requests), true],
      ["from the journal", (one) => number(one.reused), true],
      ["retries", (one) => number(one.retries), true],
      ["unusable replies", (one) => number(one.unusable), true],
      ["tokens in", (one) => number(one.tokens_in), true],
      ["tokens out", (one) => number(one.tokens_out), true],
      ["prefix cache", (one) => (one.prefix_hit_rate === null ? "–" : share(one.prefix_hit_rate, 1)), true],
      ["replies ended", (one) => ended(one.stage)],
    ], asking) : null,
    notes.length ? folded(`Notes of the stages: ${notes.length}`, el("ul", {}, notes.slice(0, 200).map((note) => el("li", {}, note)))) : null,
  ];
}

// --- the explorer

const filters = {};
let search = null, counted = null;
const shown = [];

function explorer() {
  const unique = (of) => [...new Set(rows.flatMap(of))];
  const select = (name, title, options) => {
    filters[name] = el("select", { onchange: apply }, el("option", { value: "" }, "all"), options.map((one) => el("option", { value: one }, one)));
    return el("label", {}, title, filters[name]);
  };
  search = el("input", { type: "search", oninput: apply, "aria-keyshortcuts": "/" });
  counted = el("p", { role: "status" });
  const list = el("div", { onkeydown: move });
  for (const row of rows) {
    const node = rowNode(row);
    shown.push([row, node]);
    list.append(node);
  }
  section("rows", "Rows",
    el("p", {}, sampling),
    el("form", { onsubmit: (event) => event.preventDefault() },
      select("stage", "ended at", unique((row) => row.stage).sort()),
      select("reason", "outcome", ["accepted", ...unique((row) => row.reason || []).sort()]),
      select("operation", "operation", unique((row) => row.operations).sort()),
      el("label", {}, "text contains", search)),
    el("p", { class: "dim keys" }, "Keys: / to search, j and k or the arrows to move, Enter to open."),
    counted, list);
  apply();
}

function explore(wanted) {
  for (const [name, node] of Object.entries(filters)) node.value = wanted[name] || "";
  search.value = "";
  apply();
  document.getElementById("rows").scrollIntoView();
  filters.reason.focus({ preventScroll: true });
}

function apply() {
  const words = search.value.toLowerCase();
  let count = 0;
  for (const [row, node] of shown) {
    const fits = (!filters.stage.value || row.stage === filters.stage.value)
      && (!filters.reason.value || (row.reason || "accepted") === filters.reason.value)
      && (!filters.operation.value || row.operations.includes(filters.operation.value))
      && (!words || searched(row).includes(words));
    node.hidden = !fits;
    count += fits;
  }
  counted.textContent = `${number(count)} of ${number(rows.length)} sampled rows`;
}

function searched(row) {
  row.all ??= [row.id, row.text, row.reasoning, row.worse, row.raw, row.gold, ...row.turns.map(([, content]) => content), ...row.steps.map((step) => step.text)].join("\n").toLowerCase();
  return row.all;
}

function rowNode(row) {
  const asked = row.turns.findLast(([role]) => role === "user");
  const title = (asked ? asked[1] : row.text).replace(/\s+/g, " ").slice(0, 160);
  const node = el("details", { class: "row" },
    el("summary", {}, el("span", { class: `badge ${row.reason ? "rejected" : "kept"}` }, row.reason || "accepted"), ` ${title}`));
  node.addEventListener("toggle", () => node.append(...body(row)), { once: true });
  return node;
}

const text = (content) => el("pre", {}, content);

function body(row) {
  const part = (title, content) => (content ? [el("p", { class: "step" }, title), text(content)] : []);
  const value = (one) => (one === null ? "" : fine(one));
  const above = row.steps.map((step) => step.text).filter(Boolean).at(-1);
  const shownAbove = row.turns.find(([role, content]) => role === "user" && content === above); // the prompt
  return [
    el("p", {}, el("span", { class: row.reason ? "rejected" : "kept" }, `${row.stage}: ${row.verdict}`), " ",
      el("code", { class: "dim" }, `synth trace ${row.id.slice(0, 12)}`)),
    ...row.steps.flatMap((step, at) => [
      el("p", { class: "step" }, `${at + 1}. ${step.title} `, el("span", { class: "dim" }, step.detail)),
      step.text ? text(step.text) : "",
    ]),
    ...row.turns.filter((turn) => turn !== shownAbove).flatMap(([role, content]) => part(role, content)),
    ...part("reasoning", row.reasoning),
    ...part(row.turns.length ? "answer" : "document", row.text),
    ...part("worse answer", row.worse),
    ...part("gold answer", row.gold),
    ...part("as it came", row.raw),
    row.scores.length ? table([
      ["check", ([name]) => name],
      ["verdict", ([, verdict]) => el("span", { class: ["drop", "fail", "error"].includes(verdict) ? "rejected" : verdict === "pass" ? "kept" : "" }, verdictLabel(verdict))],
      ["value", (score) => value(score[2]), true],
      ["note", (score) => score[3]],
    ], row.scores) : "",
  ];
}

function move(event) {
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  if (!step || event.target.tagName !== "SUMMARY" || event.ctrlKey || event.metaKey || event.altKey) return;
  const visible = shown.filter(([, node]) => !node.hidden).map(([, node]) => node.querySelector("summary"));
  const next = visible[visible.indexOf(event.target) + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName)) {
    event.preventDefault();
    search.focus();
  }
});

head();
section("funnel", "Funnel", funnel());
section("reasons", "Why rows were rejected", reasons());
section("verdicts", "Verdicts", verdicts());
section("cost", "Tokens and cost", cost());
section("evolution", "Evolution", evolution());
section("scores", "Scores", scores());
section("lengths", "Lengths", lengths());
section("diversity", "Diversity", diversity());
section("contamination", "Contamination", contamination());
section("teacher", "Teacher", teacher());
section("settings", "Settings", folded("The settings of each stage, defaults included", text(settings)));
explorer();
document.body.dataset.drawn = "yes";
