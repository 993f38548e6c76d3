// neap.plots: plots of quantities over time, one below the other, with one cursor and one zoom.
// neap.scatter: points in a plane. Both draw with uPlot; colours are the names of page.css.
//
//   const view = neap.plots(root, {
//     times: [unix seconds, one per bucket], end: unix seconds,
//     plots: [{title, unit, note, height,
//              series: [{label, color, mean, min, max, step, peak, dash, fill, hidden}],
//              lines: [{label, value, color}], marks: [{t, y, up, hollow}]}],
//     onCursor(t) {},   // unix seconds, null when it leaves
//     onPick(t) {},     // a click or Enter
//   });
//   view.show(t); view.zoom(from, to); view.whole(); view.destroy();
//
// `min` and `max` of a series may be left out: then they are as `mean`. null is a bucket without a
// value: the line is interrupted. `peak` series show their greatest values, which a mean would
// flatten: of what should not be there at all. `lines` lie at one height (a target, a limit).
(() => {
  const f = neap.format;
  const NARROW = 560;  // CSS pixels

  // ---- colours ----
  let colors = {};
  const readColors = () => {
    const style = getComputedStyle(document.documentElement);
    colors = {};
    for (const name of ["back", "text", "muted", "rule", "grid", "blue", "green", "orange", "purple", "red", "teal",
                        "grey", "gold"]) {
      colors[name] = style.getPropertyValue("--" + name).trim();
    }
  };
  readColors();
  const recolor = new Set();  // what to draw again when the colours change
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColors();
    for (const redraw of recolor) redraw();
  });
  const faint = (name, alpha) => colors[name] + Math.round(alpha * 255).toString(16).padStart(2, "0");

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") element.className = value;
      else if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  neap.make = make;

  // A short piece of the line as the plot draws it.
  function swatch({ color, dash, fill, marker }) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("viewBox", "0 0 28 14");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(ns, marker ? "path" : "line");
    const set = (o) => { for (const [k, v] of Object.entries(o)) shape.setAttribute(k, v); };
    if (marker) {
      set({ d: marker, fill: `var(--${color})` });
    } else {
      set({ x1: 0, x2: 28, y1: 7, y2: 7, stroke: `var(--${color})`, "stroke-width": fill ? 8 : 3,
            "stroke-opacity": fill ? 0.55 : 1, "stroke-dasharray": dash ? dash.map((d) => d * 1.2).join(" ") : "none" });
    }
    svg.append(shape);
    return svg;
  }

  // ---- axes ----
  const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
                      ...[1, 2, 5, 10, 20, 50, 100].map((d) => d * 86400)];
  const axisFont = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  const axisBase = () => ({
    font: axisFont, stroke: () => colors.muted, grid: { stroke: () => colors.grid, width: 1 },
    ticks: { show: false }, border: { show: false },
  });
  const yAxis = (unit, width) => ({
    ...axisBase(), gap: 6, size: width < NARROW ? 46 : 62, space: 28,
    ...(unit === "pods" ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000] } : {}),
    ...(unit === "s" ? { incrs: [1e-6, 1e-5, 1e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60,
                                 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 864000] } : {}),
    values: (_, ticks) => ticks.map((v) => (v === 0 ? "0" : unit === "s" ? f.duration(v) : f.short(v))),
  });
  const timeAxis = () => ({
    ...axisBase(), gap: 4, size: 24, space: 74, incrs: TIME_STEPS,
    values: (_, ticks, __, ___, step) => ticks.map((t) => f.tick(t, step)),
  });

  // Zero is always in view: heights can be compared. A line (target, limit) counts when it does not
  // squash what was measured.
  function heightOf(lines, low, high) {
    let top = high > 0 ? high : 0;
    for (const line of lines) {
      if (line.value > top && (top === 0 || line.value <= 2.2 * top)) top = line.value;
    }
    const bottom = low < 0 ? low * 1.08 : 0;
    return [bottom, top > 0 ? top * 1.08 : bottom < 0 ? 0 : 1];
  }

  // ---- drawing beyond uPlot's lines ----
  function drawLines(u, lines) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const line of lines) {
      const y = u.valToPos(line.value, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = colors[line.color];
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  // A triangle per change at what was wanted, upwards or downwards; hollow when it was not applied.
  // Where there are too many to be told apart they go to the edges: ups above, downs below.
  function drawMarks(u, marks) {
    const { ctx, bbox } = u;
    const { min, max } = u.scales.x;
    const seen = marks.filter((m) => m.t >= min && m.t <= max);
    const crowded = seen.length * 9 * devicePixelRatio > bbox.width;
    const r = (crowded ? 2.5 : 4.5) * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 2 * r, bbox.width, bbox.height + 4 * r);
    ctx.clip();
    ctx.globalAlpha = crowded ? 0.5 : 1;
    ctx.fillStyle = ctx.strokeStyle = colors.text;
    ctx.lineWidth = 1.25 * devicePixelRatio;
    for (const m of seen) {
      const x = u.valToPos(m.t, "x", true);
      const edge = m.up ? bbox.top - r : bbox.top + bbox.height - 1.5 * r;
      const y = crowded ? edge : u.valToPos(m.y, "y", true);
      const sign = m.up ? -1 : 1;
      ctx.beginPath();
      ctx.moveTo(x, y + sign * 1.2 * r);
      ctx.lineTo(x - r, y - sign * 0.8 * r);
      ctx.lineTo(x + r, y - sign * 0.8 * r);
      ctx.closePath();
      if (m.hollow) ctx.stroke();
      else ctx.fill();
    }
    ctx.restore();
  }

  // ---- series ----
  // A value alone between two gaps has no line to be seen by.
  function alone(values) {
    const found = [];
    for (let i = 0; i < values.length; i++) {
      const before = i > 0 ? values[i - 1] : null;
      const after = i + 1 < values.length ? values[i + 1] : null;
      if (values[i] !== null && before === null && after === null) found.push(i);
    }
    return found;
  }

  const mainOf = (s) => (s.peak && s.max ? s.max : s.mean);

  // uPlot's options and data of one plot: each series is a line, and a band between least and
  // greatest where these differ.
  function tracks(plot, count) {
    const series = [{}];
    const columns = [];
    const bands = [];
    const closed = (values) => [...values, values[count - 1]];  // the last bucket has a width, too
    plot.series.forEach((s) => {
      const paths = s.step ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear();
      const values = mainOf(s);
      const lonely = alone(values);
      s.at = [series.length];
      series.push({
        label: s.label, scale: "y", show: !s.hidden, width: s.width || 1.75, dash: s.dash, paths,
        stroke: () => colors[s.color], fill: s.fill ? () => faint(s.color, 0.16) : undefined,
        points: { show: false, filter: () => (lonely.length ? lonely : null), size: 4, fill: () => colors[s.color] },
      });
      columns.push(closed(values));
      if (!s.min || !s.max) return;
      const edge = (name, bound) => {
        s.at.push(series.length);
        series.push({ label: `${s.label}, ${name}`, scale: "y", show: !s.hidden, width: 0, paths, points: { show: false } });
        columns.push(closed(bound));
        return series.length - 1;
      };
      const top = s.peak ? s.at[0] : edge("greatest", s.max);
      bands.push({ series: [top, edge("least", s.min)], fill: () => faint(s.color, 0.24) });
    });
    return { series, columns, bands };
  }

  // What the legend says of a bucket: a count that changed in it as "6–8", else what is drawn.
  function reading(s, unit, i) {
    const value = i === null ? null : mainOf(s)[i];
    if (value === null || value === undefined) return f.value(null);
    if (s.step && !s.peak && s.min && s.max && s.min[i] !== s.max[i]) return `${f.number(s.min[i])}–${f.number(s.max[i])}`;
    return unit === "s" ? f.duration(value) : f.number(value);
  }
  function widestReading(s, unit, count) {
    let widest = 1;
    for (let i = 0, step = Math.max(1, Math.floor(count / 400)); i < count; i += step) {
      widest = Math.max(widest, reading(s, unit, i).length);
    }
    return widest;
  }

  const MARK_UP = "M14 0 L20 12 L8 12 Z";
  const MARK_DOWN = "M14 13 L20 1 L8 1 Z";

  // The heading of a plot: its name, a button per series with its value under the cursor, its lines.
  function heading(plot, count, toggle) {
    const legend = make("div", { class: "legend" });
    for (const s of plot.series) {
      s.now = make("span", { class: "now" });
      s.now.style.minWidth = widestReading(s, plot.unit, count) + "ch";
      const button = make("button", { type: "button", "aria-pressed": String(!s.hidden), title: `Show or hide: ${s.label}` },
                          swatch(s), s.label, s.now);
      button.addEventListener("click", () => {
        s.hidden = !s.hidden;
        button.setAttribute("aria-pressed", String(!s.hidden));
        toggle(s);
      });
      legend.append(button);
    }
    for (const line of plot.lines) {
      legend.append(make("span", { class: "key" }, swatch({ ...line, dash: [6, 4] }), line.label));
    }
    if (plot.marks.some((m) => m.up)) {
      legend.append(make("span", { class: "key" }, swatch({ color: "text", marker: MARK_UP }), "scaled up"));
    }
    if (plot.marks.some((m) => !m.up)) {
      legend.append(make("span", { class: "key" }, swatch({ color: "text", marker: MARK_DOWN }), "scaled down"));
    }
    const unit = plot.unit && plot.unit !== "s" ? make("span", { class: "muted unit" }, f.unit(plot.unit)) : "";
    const note = plot.note ? make("span", { class: "muted unit" }, plot.note) : "";
    return make("header", {}, make("h3", {}, plot.title, unit, note), legend);
  }

  let groups = 0;

  neap.plots = (root, spec) => {
    const count = spec.times.length;
    const start = spec.times[0];
    const end = spec.end;
    const xs = [...spec.times, end];
    const sync = uPlot.sync("neap-" + ++groups);
    const shown = [];  // {u, plot, area}
    let at = null;     // where the cursor is

    const width = () => Math.max(240, root.clientWidth);

    function onCursor(u) {
      const left = u.cursor.left;
      at = left === null || left === undefined || left < 0 ? null : u.posToVal(left, "x");
      const i = at === null ? null : Math.min(count - 1, bucketOf(at));
      for (const { plot } of shown) {
        for (const s of plot.series) s.now.textContent = i === null ? "" : reading(s, plot.unit, i);
      }
      spec.onCursor?.(at);
    }
    function bucketOf(t) {
      let low = 0;
      let high = count - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (spec.times[middle] <= t) low = middle;
        else high = middle - 1;
      }
      return low;
    }

    function show(t) {
      const u = shown[0].u;
      const { min, max } = u.scales.x;
      if (t < min || t > max) zoom(t - (max - min) / 2, t + (max - min) / 2);
      u.setCursor({ left: u.valToPos(t, "x"), top: 0 });
    }
    function zoom(from, to) {
      const least = Math.max(spec.least || 0, (end - start) / count) * 4;
      const span = Math.min(end - start, Math.max(least, to - from));
      const middle = (from + to) / 2;
      const low = Math.max(start, Math.min(end - span, middle - span / 2));
      for (const { u } of shown) u.setScale("x", { min: low, max: low + span });
    }
    const whole = () => zoom(start, end);
    function zoomBy(factor) {
      const { min, max } = shown[0].u.scales.x;
      const around = at === null ? (min + max) / 2 : at;
      zoom(around - (around - min) * factor, around + (max - around) * factor);
    }

    function onKey(event) {
      const { min, max } = shown[0].u.scales.x;
      const step = (max - min) / (event.shiftKey ? 20 : 200);
      const from = at === null ? (min + max) / 2 : at;
      const within = (t) => Math.max(start, Math.min(end, t));
      const act = {
        ArrowLeft: () => show(within(from - step)), ArrowRight: () => show(within(from + step)),
        Home: () => show(start), End: () => show(end),
        "+": () => zoomBy(0.5), "=": () => zoomBy(0.5), "-": () => zoomBy(2), "0": whole,
        Enter: () => at !== null && spec.onPick?.(at),
      }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    }

    const tools = make("div", { class: "tools" });
    const tool = (text, label, act) => {
      const button = make("button", { type: "button", title: label, "aria-label": label }, text);
      button.addEventListener("click", act);
      tools.append(button);
      return button;
    };
    tool("+", "Zoom in", () => zoomBy(0.5));
    tool("−", "Zoom out", () => zoomBy(2));
    const all = tool("Whole run", "Zoom out to the whole run", whole);
    tools.append(make("span", { class: "muted hint" },
                      "Drag to zoom, double click for the whole run. Keys on a plot: ← → move, + − zoom, 0 whole, Enter keeps a decision."));
    root.append(tools);

    for (const plot of spec.plots) {
      plot.lines = plot.lines || [];
      plot.marks = plot.marks || [];
      const area = make("div", { class: "area", tabindex: "0", role: "group",
                                 "aria-label": `Plot of ${plot.title} over time; arrow keys move the cursor` });
      const entry = { plot, area };
      const section = make("section", { class: "plot" }, heading(plot, count, (s) => {
        for (const i of s.at) entry.u.setSeries(i, { show: !s.hidden });
      }), area);
      root.append(section);
      const { series, columns, bands } = tracks(plot, count);
      const options = {
        width: width(), height: plot.height || 130, pxAlign: true, legend: { show: false }, padding: [8, 20, 0, 0],
        scales: { x: { time: false }, y: { range: (_, low, high) => heightOf(plot.lines, low, high) } },
        axes: [timeAxis(), yAxis(plot.unit, width())], series, bands,
        cursor: {
          sync: { key: sync.key, setSeries: false }, points: { size: 6 }, y: false,
          drag: { x: true, y: false, dist: 6 },
        },
        hooks: {
          draw: [(u) => { drawLines(u, plot.lines); drawMarks(u, plot.marks); }],
          setCursor: shown.length ? [] : [onCursor],
          setScale: shown.length ? [] : [(u, key) => {
            if (key !== "x") return;
            const { min, max } = u.scales.x;
            all.disabled = min <= start && max >= end;
          }],
        },
      };
      entry.u = new uPlot(options, [xs, ...columns], area);
      area.addEventListener("keydown", onKey);
      let pressed = 0;
      entry.u.over.addEventListener("mousedown", (event) => { pressed = event.clientX; });
      entry.u.over.addEventListener("click", (event) => {  // not the end of a drag
        if (at !== null && Math.abs(event.clientX - pressed) < 4) spec.onPick?.(at);
      });
      sync.sub(entry.u);
      shown.push(entry);
    }

    const resized = new ResizeObserver(() => {
      for (const { u, plot } of shown) {
        if (u.width !== width()) u.setSize({ width: width(), height: plot.height || 130 });
      }
    });
    resized.observe(root);
    const redraw = () => shown.forEach(({ u }) => u.redraw(false));
    recolor.add(redraw);

    return {
      show, zoom, whole,
      plots: shown,
      destroy() {
        resized.disconnect();
        recolor.delete(redraw);
        for (const { u } of shown) u.destroy();
        root.replaceChildren();
      },
    };
  };

  // ---- points in a plane ----
  //   neap.scatter(root, {x: {label, unit}, y: {label, unit}, groups: [{label, color, shape, points: [{x, y, id}]}],
  //                       lines: [{label, value, color}], onPoint(id) {}});
  // shape: "dot", "ring", "star", "square". `onPoint` gets the point nearest to the cursor, null when none is.
  const SHAPES = {
    dot: (c, x, y, r) => c.arc(x, y, r * 0.75, 0, 7),
    ring: (c, x, y, r) => c.arc(x, y, r, 0, 7),
    square: (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r),
    star: (c, x, y, r) => {
      for (let i = 0; i < 10; i++) {
        const far = i % 2 ? r * 0.75 : r * 1.8;
        const angle = (Math.PI * i) / 5 - Math.PI / 2;
        c.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
      }
      c.closePath();
    },
  };

  neap.scatter = (root, spec) => {
    const points = spec.groups.flatMap((g) => g.points).filter((p) => f.there(p.x) && f.there(p.y));
    const order = [...points].sort((a, b) => a.x - b.x);
    const xs = order.map((p) => p.x);
    const lines = spec.lines || [];
    let marked = null;
    const range = (values) => {
      const [low, high] = [Math.min(...values), Math.max(...values)];
      const room = (high - low || Math.abs(high) || 1) * 0.08;
      return [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
    };
    const [xLow, xHigh] = range(points.length ? xs : [0]);
    const [yLow, yHigh] = range([...points.map((p) => p.y), ...lines.map((l) => l.value), 0]);

    function draw(u) {
      drawLines(u, lines);
      const { ctx } = u;
      const r = 4 * devicePixelRatio;
      ctx.save();
      for (const group of spec.groups) {
        ctx.strokeStyle = ctx.fillStyle = colors[group.color];
        ctx.lineWidth = 1.5 * devicePixelRatio;
        if (group.join) {
          const path = [...group.points].sort((a, b) => a.x - b.x);
          ctx.beginPath();
          for (const p of path) ctx.lineTo(u.valToPos(p.x, "x", true), u.valToPos(p.y, "y", true));
          ctx.stroke();
        }
        for (const p of group.points) {
          if (!f.there(p.x) || !f.there(p.y)) continue;
          ctx.beginPath();
          SHAPES[group.shape](ctx, u.valToPos(p.x, "x", true), u.valToPos(p.y, "y", true), r);
          if (group.shape === "ring") ctx.stroke();
          else ctx.fill();
        }
      }
      if (marked) {
        ctx.strokeStyle = colors.text;
        ctx.lineWidth = 2 * devicePixelRatio;
        ctx.beginPath();
        ctx.arc(u.valToPos(marked.x, "x", true), u.valToPos(marked.y, "y", true), 2.2 * r, 0, 7);
        ctx.stroke();
      }
      ctx.restore();
    }
    function nearest(u) {
      const { left, top } = u.cursor;
      if (left === null || left < 0) return null;
      let best = null;
      let closest = 40 * 40;
      for (const p of order) {
        const distance = (u.valToPos(p.x, "x") - left) ** 2 + (u.valToPos(p.y, "y") - top) ** 2;
        if (distance < closest) [best, closest] = [p, distance];
      }
      return best;
    }

    const legend = make("div", { class: "legend" });
    const keys = { dot: "M14 3 a4 4 0 1 0 .01 0 Z", ring: "M14 1 a6 6 0 1 0 .01 0 Z M14 3 a4 4 0 1 1 -.01 0 Z",
                   square: "M9 2 h10 v10 h-10 Z", star: "M14 0 L16 5 L21 5 L17 8 L19 14 L14 10 L9 14 L11 8 L7 5 L12 5 Z" };
    for (const g of spec.groups) {
      if (g.points.length) legend.append(make("span", { class: "key" }, swatch({ color: g.color, marker: keys[g.shape] }), g.label));
    }
    for (const l of lines) legend.append(make("span", { class: "key" }, swatch({ ...l, dash: [6, 4] }), l.label));
    const area = make("div", { class: "area" });
    root.append(make("section", { class: "plot" }, make("header", {}, make("h3", {}, spec.title), legend), area));
    const width = () => Math.max(240, root.clientWidth);
    const height = () => Math.min(380, Math.max(240, width() * 0.62));
    const label = (axis) => axis.label + (axis.unit && axis.unit !== "s" ? `, ${f.unit(axis.unit)}` : "");
    const labelled = { labelSize: 20, labelGap: 2, labelFont: axisFont };
    const u = new uPlot({
      width: width(), height: height(), legend: { show: false }, padding: [12, 14, 0, 0],
      scales: { x: { time: false, range: () => [xLow, xHigh] }, y: { range: () => [yLow, yHigh] } },
      axes: [{ ...axisBase(), ...labelled, size: 26, gap: 4, label: label(spec.x), values: (_, ticks) => ticks.map(f.short) },
             { ...yAxis(spec.y.unit, width()), ...labelled, label: label(spec.y) }],
      series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
      cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      hooks: {
        draw: [draw],
        setCursor: [(self) => {
          const found = nearest(self);
          if (found === marked) return;
          marked = found;
          self.redraw(false);
          spec.onPoint?.(found ? found.id : null);
        }],
      },
    }, [xs, order.map((p) => p.y)], area);
    const resized = new ResizeObserver(() => {
      if (u.width !== width()) u.setSize({ width: width(), height: height() });
    });
    resized.observe(root);
    const redraw = () => u.redraw(false);
    recolor.add(redraw);
    return {
      u,
      mark(id) {
        marked = order.find((p) => p.id === id) || null;
        u.redraw(false);
      },
    };
  };
})();
