// The page of a comparison: a column of figures per policy, their plots on top of one another, and
// each policy's own run.
const POLICY_COLORS = ["blue", "orange", "green", "purple", "red", "teal", "gold", "grey"];

function policyLook(i) {
  const dashes = [undefined, [6, 3], [2, 3]];
  return { color: POLICY_COLORS[i % POLICY_COLORS.length], dash: dashes[Math.floor(i / POLICY_COLORS.length) % 3] };
}

// Half an interval to two digits: more would pretend.
function estimateText(e, unit) {
  if (!e.runs) return "–";
  if (!e.half) return fmt.value(e.mean, unit);
  const half = fmt.value(Number(e.half.toPrecision(2)), unit);
  return `${unit === "s" ? fmt.duration(e.mean) : fmt.number(e.mean)} ± ${half}`;
}

// [text, tone]: the difference from the baseline in percent of it, and whether it is better.
function difference(d, baseline, row, runs) {
  if (!d || !d.runs) return ["", ""];
  if (d.mean === 0 && d.half === 0) return ["the same", "muted"];
  const scale = baseline ? 100 / Math.abs(baseline) : 1;
  const scaled = { mean: d.mean * scale, half: d.half * scale, runs: d.runs };
  const size = (d.mean > 0 ? "+" : "") + estimateText(scaled, baseline ? "%" : row.unit);
  if (runs > 1 && Math.abs(d.mean) <= d.half) return [`${size}, may be chance`, "muted"];
  if (row.better === "neither") return [size, "muted"];
  const better = (d.mean < 0) === (row.better === "less");
  return [`${size}, ${better ? "better" : "worse"}`, better ? "good" : "bad"];
}

function figuresTable(doc) {
  const baseline = doc.policies[doc.baseline];
  const heading = doc.policies.map((p, i) => {
    const look = policyLook(i);
    const key = make("span", { class: `swatch on-${look.color}`, "aria-hidden": "true" });
    const notes = [p.file, i === doc.baseline && doc.policies.length > 1 ? "what the others are compared with" : ""].filter(Boolean);
    return make("th", { scope: "col", class: "number" }, key, p.name, ...notes.map((n) => make("div", { class: "note" }, n)));
  });
  const rows = doc.figureRows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.label),
    ...doc.policies.map((p, i) => {
      const [text, tone] = i === doc.baseline ? ["", ""] : difference(p.differences[row.key], baseline.figures[row.key].mean, row, doc.seeds.length);
      return make("td", { class: "number" }, estimateText(p.figures[row.key], row.unit),
                  ...(text ? [make("div", { class: `note ${tone}` }, text)] : []));
    })));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Figures of each policy" },
    make("table", { class: "policies" }, make("thead", {}, make("tr", {}, make("td", {}), ...heading)), make("tbody", {}, ...rows)));
}

// All policies' runs in the same plots, target by target.
function overlay(parent, doc, runs, index) {
  const results = runs.results;
  const of = (result) => result.targets[Math.min(index, result.targets.length - 1)];
  const longest = results.reduce((a, b) => (b.duration > a.duration ? b : a));
  const count = of(longest).series.load.mean.length;
  const fit = (values) => values && Array.from({ length: count }, (_, i) => (i < values.length ? values[i] : null));
  // One line per policy, without bands: the mean, or the greatest of what should not be there.
  const trimmed = (series, peak) => ({ mean: fit((peak && series.max) || series.mean) });
  const each = (key, { peak, ...more }) => results.map((r, i) => line(trimmed(of(r).series[key], peak), r.name, "", { ...policyLook(i), ...more }));
  const any = (key) => results.some((r) => hasAny(of(r).series[key]));
  const unit = (key) => {
    const name = of(results[0]).series[key].unit;
    return key === "spending" && doc.currency ? `${doc.currency} ${fmt.unit(name)}` : name;
  };
  const load = of(longest).series.load;
  const plots = [{ title: "Load", unit: load.unit, height: 110, series: [line(load, "load", "muted", { fill: true })] }];
  const missing = [];
  const add = (key, title, height, more = {}, plot = {}) => {
    if (any(key)) plots.push({ title, unit: unit(key), height, series: each(key, more), ...plot });
    else missing.push(title.toLowerCase());
  };
  add("ready", "Replicas ready", 200, { step: true });
  add("wanted", "Replicas wanted", 160, { step: true });
  add("latency", capital(of(longest).series.latency.name || "latency"), 140, { peak: true }, {
    lines: doc.objective === null ? [] : [{ label: `objective ${fmt.duration(doc.objective)}`, value: doc.objective, color: "muted" }],
  });
  add("waiting", "Waiting", 120, { peak: true }, { note: "most" });
  add("spending", "Cost", 110, { step: true });
  const area = make("div", { class: "plots" });
  parent.append(area);
  const view = neap.plots(area, { times: bucketTimes(longest, count), end: longest.startUnix + longest.duration, plots });
  if (missing.length) area.append(make("p", { class: "muted" }, `Without a plot, as there was none at any time: ${missing.join(", ")}.`));
  return () => { view.destroy(); parent.replaceChildren(); };
}

function showComparison(doc) {
  const { runs } = doc;
  const results = runs.results;
  const seeds = doc.seeds.length === 1 ? `one seed, ${doc.seeds[0]}` : `${doc.seeds.length} seeds`;
  root.append(make("header", { class: "top" }, make("h1", {}, doc.title), make("p", { class: "muted number" },
    [plural(doc.policies.length, "policy", "policies"), seeds, ...(results.length ? [runLine(results[0]).split(" · ")[0]] : [])].join(" · "))));
  if (!doc.policies.length) {
    root.append(make("p", {}, "Nothing was compared."));
    return;
  }
  const means = "Mean ± half the 95 % interval of the mean.";
  const against = ` Below it the difference from ${doc.policies[doc.baseline].name} on the same seeds, which is sharper than the two intervals: what all policies met alike cancels out.`;
  root.append(section("Figures", figuresTable(doc), make("p", { class: "muted" }, doc.seeds.length > 1
    ? means + (doc.policies.length > 1 ? against : "")
    : "One run each: differences may be chance. Several seeds give intervals.")));

  if (results.length) {
    const body = make("div");
    const inner = make("div");
    let leave = () => {};
    let target = 0;
    const most = results.reduce((a, b) => (b.targets.length > a.targets.length ? b : a));
    const targetChooser = make("span");
    const choose = (i) => {
      leave();
      targetChooser.hidden = i > 0 || most.targets.length < 2;
      leave = i === 0 ? overlay(inner, doc, runs, target) : runBody(inner, { ...doc, thinned: runs.thinned }, results[i - 1]);
    };
    targetChooser.append(chooser("Target", most.targets.map((t) => t.object), 0, (i) => { target = i; choose(0); }));
    const names = ["all policies together", ...results.map((r) => r.name)];
    body.append(make("div", { class: "choices" }, chooser("Show", names, 0, choose), targetChooser), inner);
    root.append(section(`Runs of seed ${results[0].seed}`, ...thinnedNote(runs), body));
    if (results.every((r) => r.targets.length && r.targets[0].series.load.mean.length)) choose(0);
    else inner.append(make("p", {}, "The course of these runs was not kept."));
  }
  root.append(assumptionsSection(doc.assumptions), originSection(doc, [["Seeds", doc.seeds.join(", ")]]));
}
