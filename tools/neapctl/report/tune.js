// The page of tune: cost against the objective, on the searched and on the held-out part, and the
// front as a table.
function showTune(doc) {
  const { tune, points } = doc;
  root.append(make("header", { class: "top" }, make("h1", {}, doc.title), make("p", { class: "muted" },
    `${tune.objective} · searched on ${tune.searched}, checked on ${tune.heldOut} · ${plural(tune.runs, "run", "runs")}`)));
  const recommended = points.findIndex((p) => p.recommended);
  root.append(make("p", { class: "verdict " + (recommended >= 0 ? "good" : "bad") }, tune.verdict));

  const parameters = (p) => Object.entries(p.parameters).map(([name, value]) => `${name}: ${value}`);
  const kind = (p) => [p.recommended ? "recommended" : "", p.asGiven ? "as given" : "", p.onFront ? "on the front" : ""].filter(Boolean).join(", ");
  const note = make("div", { class: "point", "aria-live": "polite" });
  const hint = make("p", { class: "muted" }, "Move over a point: its parameters are shown here.");
  // Without a point under the cursor: what is recommended, else the object as given.
  const resting = recommended >= 0 ? recommended : points.findIndex((p) => p.asGiven);
  const views = [];
  const show = (i) => {
    for (const view of views) view.mark(i);
    const p = points[i ?? resting];
    if (!p) return note.replaceChildren(hint);
    const part = (name, v) => v === null ? `${name}: not run` : `${name}: ${fmt.number(v.cost)} ${tune.costUnit}, ${tune.figure} ${fmt.value(v.objective, tune.unit)}, ${v.meets ? "meets" : "misses"} the objective`;
    note.replaceChildren(make("p", {}, make("strong", {}, kind(p) || "off the front")), make("pre", {}, parameters(p).join("\n")),
                         make("p", {}, part("searched", p.searched)), make("p", {}, part("held out", p.heldOut)),
                         ...(i === null ? [hint] : []));
  };
  const plots = make("div", { class: "pair" });
  root.append(section("Cost against the objective", plots, note));
  for (const [key, title] of [["searched", `Searched: ${tune.searched}`], ["heldOut", `Held out: ${tune.heldOut}`]]) {
    const place = make("div");
    plots.append(place);
    const group = (label, color, shape, wanted, more = {}) => ({
      label, color, shape, ...more,
      points: points.map((p, id) => ({ x: p[key]?.cost, y: p[key]?.objective, id, p })).filter(({ p }) => p[key] && wanted(p)),
    });
    views.push(neap.scatter(place, {
      title, x: { label: tune.costUnit, unit: "" }, y: { label: tune.figure, unit: tune.unit },
      groups: [
        group("tried", "grey", "dot", (p) => !p.onFront && !p.asGiven && !p.recommended),
        group("front", "blue", "dot", (p) => p.onFront, { join: key === "searched" }),
        group("as given", "orange", "square", (p) => p.asGiven),
        group("recommended", "green", "star", (p) => p.recommended),
      ],
      lines: [{ label: `objective ${tune.below ? "<" : ">"} ${fmt.value(tune.limit, tune.unit)}`, value: tune.limit, color: "red" }],
      onPoint: show,
    }));
  }

  show(null);

  const listed = points.map((p, i) => ({ p, i })).filter(({ p }) => p.onFront || p.recommended || p.asGiven)
    .sort((a, b) => a.p.searched.cost - b.p.searched.cost);
  // Parameters that all of them share are said once.
  const names = [...new Set(listed.flatMap(({ p }) => Object.keys(p.parameters)))];
  const differs = (n) => listed.some(({ p }) => p.parameters[n] !== listed[0].p.parameters[n]);
  const shared = names.filter((n) => !differs(n));
  const own = (p) => names.filter(differs).map((n) => make("div", {}, `${n}: ${p.parameters[n] ?? "–"}`));
  const cost = (part) => (part === null ? "not run" : fmt.number(part.cost));
  const value = (part) => (part === null ? "–"
    : [fmt.value(part.objective, tune.unit), make("div", { class: `note ${part.meets ? "good" : "bad"}` }, part.meets ? "meets" : "misses")]);
  root.append(section("The front", table(
    ["", `${tune.costUnit}, searched`, `${tune.figure}, searched`, `${tune.costUnit}, held out`, `${tune.figure}, held out`, "Parameters"],
    listed.map(({ p }) => [kind(p), cost(p.searched), value(p.searched), cost(p.heldOut), value(p.heldOut), own(p)]),
    ["", "number", "number", "number", "number", ""], "front"),
    ...(shared.length ? [make("p", {}, "The same in all: ", shared.map((n) => `${n}: ${listed[0].p.parameters[n] ?? "–"}`).join(", "), ".")] : []),
    make("p", { class: "muted" }, `Of ${plural(points.length, "point", "points")} tried, those that no other beats in both cost and objective on the searched part, and the object as given.`)));
  root.append(assumptionsSection(doc.assumptions), originSection(doc, []));
}
