// The page of a run: figures, plots with one cursor, the decision under it, the changes. Also what
// the other pages have in common with it. The document is that of report/json.h.
const { make } = neap;
const fmt = neap.format;
const root = document.getElementById("report");

// ---- common parts ----

function section(title, ...children) {
  return make("section", {}, make("h2", {}, title), ...children);
}

function chooser(label, names, chosen, onChange) {
  const select = make("select", {}, ...names.map((name, i) => make("option", { value: String(i) }, name)));
  select.value = String(chosen);
  select.addEventListener("change", () => onChange(Number(select.value)));
  return make("label", { class: "chooser" }, make("span", { class: "muted" }, label), select);
}

function table(headings, rows, kinds, look = null) {
  const cell = (tag, content, i) =>
    make(tag, { class: kinds[i] || null, ...(tag === "th" ? { scope: "col" } : {}) }, ...[content].flat());
  const element = make("table", { class: look }, make("thead", {}, make("tr", {}, ...headings.map((h, i) => cell("th", h, i)))),
                       make("tbody", {}, ...rows.map((r) => make("tr", {}, ...r.map((c, i) => cell("td", c, i))))));
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": headings.filter((h) => h).join(", ") }, element);
}

function assumptionsSection(assumptions) {
  if (!assumptions.length) return section("Assumed", make("p", {}, "Nothing: every fact was given."));
  return section("Assumed, as nobody said otherwise",
                 make("ul", { class: "assumptions" }, ...assumptions.map((a) => make("li", {}, a))));
}

function originSection(doc, facts) {
  const rows = [...facts, ["Made by", `neapctl ${doc.neap}`]];
  if (doc.command) rows.push(["Command", make("code", {}, doc.command)]);
  return section("How this was made", make("dl", { class: "facts" },
    ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
}

const money = (doc, v) => fmt.number(v) + (doc.currency ? ` ${doc.currency}` : "");
// Of a tile's width: from ten billions on without the last digits.
const big = (v) => (v >= 1e10 ? `${fmt.number(v / 1e9)} billion` : fmt.number(v));
const plural = (n, one, many) => `${fmt.number(n)} ${n === 1 ? one : many}`;
const elapsed = (s) => `${fmt.duration(s)} after the start`;

function runLine(result) {
  return [`${fmt.duration(result.duration)} from ${fmt.time(result.startUnix)} UTC`, `seed ${result.seed}`,
          plural(result.decisions, "decision", "decisions")].join(" · ");
}

// ---- figures ----

// [label, number, what it means, tone]
function tiles(doc, result, figures, target) {
  const f = figures;
  const requests = f.served + f.failed;
  const failures = target
    ? [["timedOut", "timed out"], ["refused", "refused"], ["reset", "reset"], ["wrong", "wrong answer"], ["overflowed", "limit full"]]
        .filter(([key]) => target.failures[key] > 0).map(([key, text]) => `${fmt.number(target.failures[key])} ${text}`).join(", ")
    : "";
  const ofTime = (seconds) => `${fmt.share(seconds, result.duration)} of the time`;
  const pair = (a, b) => `${fmt.duration(a)} / ${fmt.duration(b)}`;
  const list = [
    ["Served", big(f.served), `${fmt.share(f.served, requests)} of what arrived`],
    ["Failed", big(f.failed), f.failed > 0 ? [fmt.share(f.failed, requests), failures].filter(Boolean).join(": ") : "none",
     f.failed > 0 ? "bad" : ""],
    doc.objective === null
      ? ["Late", "–", "no objective was stated"]
      : ["Late", big(f.late), `${fmt.share(f.late, f.served)} waited over ${fmt.duration(doc.objective)}`, f.late > 0 ? "bad" : ""],
    ["Wait p50 / p99", pair(f.wait_p50, f.wait_p99),
     f.latency_p99 > 0 ? `answered in ${pair(f.latency_p50, f.latency_p99)}` : "how long serving takes is not modelled"],
    ["Pod-hours", fmt.number(f.pod_hours), `at most ${plural(f.most_replicas, "replica", "replicas")}`],
    ["Cost", f.cost > 0 ? money(doc, f.cost) : "–", f.cost > 0 ? `${money(doc, f.cost * 3600 / result.duration)} per hour` : "no price was given"],
    ["Scale changes", fmt.number(f.scale_changes),
     target ? `${fmt.number(target.scaleUps)} up, ${fmt.number(target.scaleDowns)} down` : "of all targets"],
    ["Under-provisioned", fmt.duration(f.under_seconds), ofTime(f.under_seconds), f.under_seconds > 0 ? "bad" : ""],
    ["Over-provisioned", fmt.duration(f.over_seconds), ofTime(f.over_seconds)],
    ["Elasticity: too few", `${fmt.number(f.accuracy_under)} %`, `of demand missing, in ${fmt.number(f.timeshare_under)} % of the time`],
    ["Elasticity: too many", `${fmt.number(f.accuracy_over)} %`, `of demand in surplus, in ${fmt.number(f.timeshare_over)} % of the time`],
    ["Elasticity: instability", `${fmt.number(f.instability)} %`, "of the time supply and demand move apart"],
  ];
  if (f.failed_metrics > 0) {
    list.push(["Without a metric", fmt.number(f.failed_metrics),
               target ? `of ${plural(target.decisionsTaken, "decision", "decisions")}` : "decisions", "bad"]);
  }
  return make("dl", { class: "tiles", "aria-label": "Figures" }, ...list.map(([label, number, note, tone]) =>
    make("div", {}, make("dt", {}, label), make("dd", { class: "number " + (tone || "") }, number), make("dd", { class: "note" }, note))));
}

// ---- plots ----

const hasAny = (series) => series.mean.some((v) => v !== null && v !== 0) || (series.max || []).some((v) => v);

function line(series, label, color, more = {}) {
  return { label, color, mean: series.mean, min: series.min, max: series.max, ...more };
}

function bucketTimes(result, count) {
  return Array.from({ length: count }, (_, i) => result.startUnix + i * result.bucket);
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// The plots of a target; `missing` gets the names of those that would be empty.
function plotsOf(doc, result, target, missing) {
  const s = target.series;
  const plots = [];
  const add = (title, series, plot) => {
    if (hasAny(series)) plots.push({ title, unit: series.unit, ...plot });
    else missing.push(title.toLowerCase());
  };
  add("Load", s.load, { series: [line(s.load, "load", "blue", { fill: true })], height: 140 });
  const changes = target.decisions.filter((d) => d.rescale);
  const since = target.decisionsLeftOut > 0 && changes.length ? `changes are marked from ${fmt.time(result.startUnix + changes[0].at)} on` : "";
  plots.push({
    title: "Replicas", unit: "pods", note: since, height: 240, replicas: true,
    series: [
      line(s.ready, "ready", "green", { step: true, fill: true }),
      line(s.have, "have", "grey", { step: true, width: 1.25 }),
      line(s.demand, "demand", "orange", { step: true, dash: [5, 3] }),
      line(s.wanted, "wanted", "blue", { step: true, width: 2 }),
    ],
    lines: [{ label: `min ${target.minReplicas}`, value: target.minReplicas, color: "muted" },
            { label: `max ${target.maxReplicas}`, value: target.maxReplicas, color: "muted" }],
    marks: changes.map((d) => (
      { t: result.startUnix + d.at, y: d.desired, up: d.desired > d.current, hollow: !d.applied })),
  });
  for (const metric of target.metrics) {
    plots.push({
      title: metric.name, unit: metric.value.unit, height: 130, metric: true,
      series: [line(metric.value, "read", "teal")],
      lines: metric.targetValue > 0 ? [{ label: `target ${metric.target}`, value: metric.targetValue, color: "red" }] : [],
    });
  }
  add("Pending", s.pending, { series: [line(s.pending, "without a node", "purple", { step: true, peak: true, fill: true })], height: 90 });
  add(capital(s.latency.name || "latency"), s.latency, {
    series: [line(s.latency, "highest", "purple", { peak: true })], height: 130,
    lines: doc.objective === null ? [] : [{ label: `objective ${fmt.duration(doc.objective)}`, value: doc.objective, color: "red" }],
  });
  add("Waiting", s.waiting, { series: [line(s.waiting, "most", "orange", { peak: true, fill: true })], height: 110 });
  add("Cost", s.spending, { unit: (doc.currency ? doc.currency + " " : "") + fmt.unit(s.spending.unit), series: [line(s.spending, "per hour", "gold", { step: true, fill: true })], height: 100 });
  return plots;
}

// ---- decisions ----

// An explanation's steps, each "  stage Reason  before -> after  words"; other lines as they are.
function steps(text) {
  return make("ol", { class: "steps" }, ...text.split("\n").filter((l) => l.trim()).map((l) => {
    const [, stage, reason, change, words] = l.match(/^\s+(\S+)\s+(\S+)\s+(-?\d+(?: -> -?\d+)?)\s{2}(.*)$/) || [];
    if (!stage) return make("li", {}, l.trim());
    return make("li", {}, make("div", { class: "step" }, make("span", {}, stage), make("strong", { class: "number" }, change.replace("->", "→")),
                                    make("span", { class: "muted" }, reason)), words);
  }));
}

const outcome = (d) => (!d.rescale ? "held" : d.applied ? (d.desired > d.current ? "scaled up" : "scaled down") : "not applied");

const counts = (d) => (d.rescale ? `${d.current} → ${d.desired}` : String(d.current));
const recommended = (d) => (d.recommended !== d.desired ? `recommended ${fmt.number(d.recommended)}` : "");

// The decision nearest to t; a change wins over what only held when it is as near as `reach`.
function nearestDecision(decisions, start, t, reach) {
  let best = null;
  let change = null;
  const away = (d) => Math.abs(start + d.at - t);
  for (const d of decisions) {
    if (best === null || away(d) < away(best)) best = d;
    if (d.rescale && away(d) <= reach && (change === null || away(d) < away(change))) change = d;
  }
  return change || best;
}

function decisionPanel() {
  const body = make("div", { class: "decision-body", "aria-live": "polite" });
  const release = make("button", { type: "button", class: "small", hidden: "" }, "Let go");
  const panel = make("aside", { class: "decision empty", id: "decision", "aria-label": "Decision under the cursor" },
                     make("header", {}, make("h3", {}, "Why"), release), body);
  const empty = () => {
    panel.classList.add("empty");
    body.replaceChildren(make("p", { class: "muted" }, "Move over a plot, or tap it: the nearest decision is explained here. A click keeps it."));
  };
  empty();
  return {
    panel, release, empty,
    show(result, d, kept) {
      panel.classList.remove("empty");
      release.hidden = !kept;
      const explained = d.explanation && d.explanation.trim() !== d.reason.trim() ? [steps(d.explanation)] : [];
      body.replaceChildren(
        make("p", { class: "when number" }, `${fmt.time(result.startUnix + d.at)} UTC`,
             make("span", { class: "muted" }, ` · ${elapsed(d.at)}`)),
        make("p", { class: "counts number" }, make("strong", {}, counts(d)), make("span", { class: "tag" }, outcome(d)),
             make("span", { class: "muted recommended" }, recommended(d))),
        make("p", { class: "reason" }, d.reason), ...explained);
    },
  };
}

const FIRST_ROWS = 50;

function changesSection(result, target, onPick) {
  const changes = target.decisions.filter((d) => d.rescale);
  const notes = [];
  if (target.decisionsLeftOut > 0) {
    notes.push(make("p", { class: "muted" }, `Older decisions are left out here, ${fmt.number(target.decisionsLeftOut)} of them; --journal records every one.`));
  }
  if (!changes.length) return section("Changes", make("p", {}, "The count was never changed."), ...notes);
  const row = (d) => {
    const at = make("button", { type: "button", class: "link number", title: "Show it in the plots" }, fmt.time(result.startUnix + d.at));
    at.addEventListener("click", () => onPick(d));
    const why = make("details", {}, make("summary", {}, d.reason || "explanation"));
    why.addEventListener("toggle", () => {
      if (why.open && why.children.length === 1) why.append(steps(d.explanation || d.reason));
    });
    return make("tr", {}, make("td", {}, at), make("td", { class: "number" }, counts(d)),
                make("td", { class: "number wide" }, fmt.number(d.recommended)), make("td", {}, outcome(d)), make("td", { class: "why" }, why));
  };
  const head = make("tr", {}, ...["Time, UTC", "Replicas", "Recommended", "Outcome", "Reason (open for each step)"].map(
    (h, i) => make("th", { scope: "col", class: i === 1 || i === 2 ? "number" : null }, h)));
  const body = make("tbody", {}, ...changes.slice(0, FIRST_ROWS).map(row));
  const parts = [make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes" },
                      make("table", { class: "changes" }, make("thead", {}, head), body))];
  if (changes.length > FIRST_ROWS) {
    const more = make("button", { type: "button" }, `Show all ${fmt.number(changes.length)}`);
    more.addEventListener("click", () => {
      body.append(...changes.slice(FIRST_ROWS).map(row));
      more.remove();
    });
    parts.push(more);
  }
  const all = target.scaleUps + target.scaleDowns;
  const count = changes.length < all ? `the last ${fmt.number(changes.length)} of ${fmt.number(all)}` : fmt.number(changes.length);
  return section(`Changes (${count})`, ...parts, ...notes);
}

// ---- one target of one run ----

// Plots, decision panel and changes below `parent`; gives what takes them away again.
function showTarget(parent, doc, result, target) {
  if (!target.series.load.mean.length) {
    parent.append(make("p", {}, "The course of this run was not kept."), changesSection(result, target, () => {}));
    return () => parent.replaceChildren();
  }
  const missing = [];
  const plots = plotsOf(doc, result, target, missing);
  const area = make("div", { class: "plots" });
  const why = decisionPanel();
  const start = result.startUnix;
  let kept = null;

  const reach = () => {
    const { u } = view.plots[0];
    return (7 * (u.scales.x.max - u.scales.x.min)) / Math.max(1, u.over.clientWidth);
  };
  const near = (t) => nearestDecision(target.decisions, start, t, reach());
  const ring = make("div", { class: "ring" });
  function point(d) {
    const replicas = view.plots.find(({ plot }) => plot.replicas).u;
    const { min, max } = replicas.scales.x;
    const t = start + d.at;
    ring.hidden = t < min || t > max;
    ring.style.transform = `translate(${replicas.valToPos(t, "x")}px, ${replicas.valToPos(d.desired, "y")}px)`;
  }
  function keep(d) {
    kept = d;
    why.show(result, d, true);
    point(d);
  }
  function release() {
    kept = null;
    why.release.hidden = true;
    ring.hidden = true;
    why.empty();
  }
  why.release.addEventListener("click", release);

  parent.append(make("div", { class: "study" }, area, why.panel));
  const view = neap.plots(area, {
    times: bucketTimes(result, target.series.load.mean.length), end: start + result.duration, plots,
    onCursor(t) {
      if (kept !== null || t === null) return;
      const d = near(t);
      if (d === null) return;
      why.show(result, d, false);
      point(d);
    },
    onPick(t) {
      const d = near(t);
      if (d === null) return;
      if (kept === d) release();
      else keep(d);
    },
  });
  view.plots.find(({ plot }) => plot.replicas).u.over.append(ring);
  ring.hidden = true;
  const escape = (event) => { if (event.key === "Escape") release(); };
  document.addEventListener("keydown", escape);
  if (missing.length) {
    area.append(make("p", { class: "muted" }, `Without a plot, as there was none at any time: ${missing.join(", ")}.`));
  }
  parent.append(changesSection(result, target, (d) => {
    view.show(start + d.at);
    keep(d);
    const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
    area.scrollIntoView({ behavior: quiet ? "auto" : "smooth", block: "start" });
  }));
  return () => {
    document.removeEventListener("keydown", escape);
    view.destroy();
    parent.replaceChildren();
  };
}

// Tiles, plots and changes of a run, with a choice of its targets; fills `parent`.
function runBody(parent, doc, result) {
  const { targets } = result;
  const body = make("div");
  let leave = null;
  const choose = (i) => {
    leave?.();
    body.replaceChildren();
    const inner = make("div");
    body.append(make("p", { class: "scales" }, `${targets[i].object} scales ${targets[i].target}, ${targets[i].minReplicas} to ${targets[i].maxReplicas} replicas`),
                tiles(doc, result, targets[i].figures, targets[i]), inner);
    leave = showTarget(inner, doc, result, targets[i]);
  };
  if (!targets.length) {
    parent.append(make("p", {}, "This run has no target."));
    return () => parent.replaceChildren();
  }
  if (targets.length > 1) {
    const pick = chooser("Target", targets.map((t) => t.object), 0, choose);
    const rows = targets.map((t, i) => {
      const name = make("button", { type: "button", class: "link" }, t.object);
      name.addEventListener("click", () => {
        pick.querySelector("select").value = String(i);
        choose(i);
        pick.scrollIntoView({ block: "start" });
      });
      const f = t.figures;
      return [name, fmt.number(f.served), fmt.number(f.failed), fmt.duration(f.wait_p99), fmt.number(f.pod_hours),
              fmt.number(f.scale_changes), fmt.duration(f.under_seconds)];
    });
    parent.append(make("details", { class: "targets", open: targets.length <= 12 ? "" : null },
      make("summary", {}, `All ${fmt.number(targets.length)} targets`),
      table(["Target", "Served", "Failed", "Wait p99", "Pod-hours", "Changes", "Under-provisioned"], rows,
            ["", "number", "number", "number", "number", "number", "number"])), pick);
  }
  parent.append(body);
  choose(0);
  return () => {
    leave();
    parent.replaceChildren();
  };
}

function thinnedNote(doc) {
  return doc.thinned > 1
    ? [make("p", { class: "muted" }, `To keep this page small, ${doc.thinned} buckets of each series are drawn as one; least and greatest are kept.`)]
    : [];
}

function showRun(doc) {
  const result = doc.results[0];
  root.append(make("header", { class: "top" }, make("h1", {}, doc.title), make("p", { class: "muted number" }, runLine(result))), ...thinnedNote(doc));
  const body = make("div");
  root.append(body);
  runBody(body, doc, result);
  root.append(assumptionsSection(result.assumptions), originSection(doc, [
    ["Seed", String(result.seed)], ["Start", `${fmt.time(result.startUnix)} UTC`], ["Duration", fmt.duration(result.duration)],
    ["Resolution", `${fmt.duration(result.bucket)} per bucket`], ["Events", fmt.number(result.events)],
    ["Digest", make("code", {}, result.digest || "–")]]));
}
