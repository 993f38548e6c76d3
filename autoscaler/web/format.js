// neap.format: numbers and times as people read them. The same rules as report/format.cc has for
// the terminal. "–" stands for a value that is not there.
"use strict";
const neap = {};

neap.data = JSON.parse(document.getElementById("data").textContent);

neap.format = (() => {
  const NONE = "–";
  const there = (v) => v !== null && v !== undefined && Number.isFinite(v);

  // Three significant digits, whole numbers in full, thousands apart: 0.0123, 4.57, 123, 12,346.
  function number(v) {
    if (!there(v)) return NONE;
    if (v === 0) return "0";
    if (v < 0) return "−" + number(-v);
    const whole = Math.round(v);
    if (v >= 100 || Math.abs(v - whole) < 1e-9) return whole.toLocaleString("en-US");
    if (v < 0.0001) return v.toExponential(1);
    return String(Number(v.toPrecision(3)));
  }

  // For axes: 12,000 as 12k.
  function short(v) {
    const size = Math.abs(v);
    for (const [limit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= limit) return number(v / limit) + letter;
    }
    return number(v);
  }

  const two = (big, bigUnit, small, smallUnit) =>
    small ? `${number(big)} ${bigUnit} ${small} ${smallUnit}` : `${number(big)} ${bigUnit}`;

  function duration(seconds) {
    if (!there(seconds)) return NONE;
    if (seconds < 0) return "−" + duration(-seconds);
    if (seconds === 0) return "0 s";
    if (seconds < 0.001) return `${number(seconds * 1e6)} µs`;
    if (seconds < 0.9995) return `${number(seconds * 1e3)} ms`;
    if (seconds < 59.95) return `${number(seconds)} s`;
    const s = Math.round(seconds);
    if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
    const min = Math.round(seconds / 60);
    if (min < 48 * 60) return two(Math.floor(min / 60), "h", min % 60, "min");
    const h = Math.round(seconds / 3600);
    return two(Math.floor(h / 24), "d", h % 24, "h");
  }

  // "1/s" as "per second".
  const unit = (name) => ({ "1/s": "per second", "1/min": "per minute", "1/h": "per hour" })[name] || name;

  // With its unit as series name it: "s" is a duration, "pods" stands behind the number.
  function value(v, name) {
    if (!there(v)) return NONE;
    if (name === "s") return duration(v);
    return name ? `${number(v)} ${unit(name)}` : number(v);
  }

  // A part of a whole, in percent that does not say 0 for what happened.
  function share(part, whole) {
    if (!there(part) || !whole) return NONE;
    const percent = (100 * part) / whole;
    if (percent > 0 && percent < 0.001) return "< 0.001 %";
    if (percent < 100 && percent > 99.9 && percent.toFixed(1) === "100.0") return "> 99.9 %";
    return `${number(percent)} %`;
  }

  const pad = (n) => String(n).padStart(2, "0");
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

  // Unix seconds as UTC: "2026-01-01 12:30:15".
  function time(t) {
    const d = new Date(Math.round(t) * 1000);
    return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ` +
      `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`;
  }

  // The label of a tick on a time axis whose ticks are `step` seconds apart: days at midnight.
  function tick(t, step) {
    const d = new Date(Math.round(t) * 1000);
    const day = `${months[d.getUTCMonth()]} ${d.getUTCDate()}`;
    if (t % 86400 === 0) return day;
    const clock = `${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}`;
    return step < 60 ? `${clock}:${pad(d.getUTCSeconds())}` : clock;
  }

  return { number, short, duration, unit, value, share, time, tick, there };
})();
