// Numbers and times as people read them. Pure functions; tested under node.

export const NONE = "–";

/** @param {number} value @param {number} digits */
function trim(value, digits) {
  return Number(value.toFixed(digits)).toString();
}

/** Three significant digits with k, M, B. @param {number | null | undefined} value */
export function count(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size < 1000) return Number.isInteger(value) ? String(value) : trim(value, size < 10 ? 2 : 1);
  for (const [unit, step] of /** @type {[string, number][]} */ ([["k", 1e3], ["M", 1e6], ["B", 1e9], ["T", 1e12]])) {
    const scaled = value / step;
    // 999.95k would print as 1000k: the next unit says it better.
    if (Math.abs(scaled) < 999.5 || unit === "T") {
      const digits = Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0;
      return trim(scaled, digits) + unit;
    }
  }
  return NONE;
}

/** All digits, grouped. @param {number | null | undefined} value */
export function exact(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  return value.toLocaleString("en-US", { maximumFractionDigits: 10 });
}

/** US dollars, never a false zero. @param {number | null | undefined} value */
export function money(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size === 0) return "$0";
  if (size < 0.000001) return `${sign}<$0.000001`;
  if (size < 0.01) return `${sign}$${trim(size, Math.min(8, 2 - Math.floor(Math.log10(size))))}`;
  if (size < 1) return `${sign}$${size.toFixed(3)}`;
  if (size < 1000) return `${sign}$${size.toFixed(2)}`;
  return `${sign}$${count(size)}`;
}

/** Milliseconds in the unit that fits. @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms == null || !Number.isFinite(ms)) return NONE;
  const size = Math.abs(ms);
  if (size === 0) return "0 ms";
  if (size < 0.001) return `${trim(ms * 1e6, 0)} ns`;
  if (size < 0.9995) return `${trim(ms * 1000, 0)} µs`;
  if (size < 999.5) return `${trim(ms, size < 9.995 ? 2 : size < 99.95 ? 1 : 0)} ms`;
  if (size < 59_995) return `${trim(ms / 1000, size < 9995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** A share of one as percent. @param {number | null | undefined} value */
export function percent(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value * 100);
  if (size === 0) return "0%";
  if (size < 0.01) return "<0.01%";
  return `${trim(value * 100, size < 1 ? 2 : size < 99.95 ? 1 : 0)}%`;
}

/** Change against before: `null` when there is nothing to compare with.
 * @param {number | null | undefined} now @param {number | null | undefined} before */
export function change(now, before) {
  if (now == null || before == null || !Number.isFinite(now) || !Number.isFinite(before)) return null;
  if (before === 0) return now === 0 ? 0 : null;
  return (now - before) / Math.abs(before);
}

/** @param {number | null} value */
export function delta(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value * 100);
  const sign = size < 0.05 ? "" : value > 0 ? "+" : "−";
  if (size >= 1000) return `${sign}${trim(size / 100 + (value > 0 ? 1 : 0), 0)}×`;
  return `${sign}${trim(size, size < 10 ? 1 : 0)}%`;
}

/** @param {number | null | undefined} value */
export function rate(value) {
  return value == null || !Number.isFinite(value) ? NONE : `${count(value)}/s`;
}

/** The same on an axis: round values, no digits that say nothing. @param {(value: number | null | undefined) => string} format @returns {(value: number) => string} */
export function onAxis(format) {
  return (value) => {
    if (value === 0) return format === money ? "$0" : "0";
    // "1 min 20 s" is wider than an axis
    if (format === duration && value > 60_000 && value < 600_000 && value % 60_000) return `${trim(value / 1000, 0)} s`;
    const text = format(value);
    return format === money ? text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") : text.replace(/ 0 (s|min)$/, "");
  };
}

/** @param {number} n */
const two = (n) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Clock time of a date, with seconds or milliseconds where asked. @param {Date} date @param {"m" | "s" | "ms"} [to] */
export function clock(date, to = "s") {
  const base = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (to === "m") return base;
  const seconds = `${base}:${two(date.getSeconds())}`;
  return to === "s" ? seconds : `${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** @param {Date} date */
export function day(date) {
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

/** Day and time; the day only when it is not today. @param {Date} date @param {Date} [today] */
export function moment(date, today = new Date()) {
  const same = date.toDateString() === today.toDateString();
  return same ? clock(date) : `${day(date)} ${clock(date)}`;
}

/** A range of time in words. @param {Date} from @param {Date} to */
export function span(from, to) {
  const same = from.toDateString() === to.toDateString();
  return `${day(from)} ${clock(from, "m")} – ${same ? "" : `${day(to)} `}${clock(to, "m")}`;
}

/** How long ago, coarse. @param {number} ms */
export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** The middle of an id left out. @param {string | null | undefined} id */
export function shortId(id) {
  if (!id) return NONE;
  return id.length <= 12 ? id : `${id.slice(0, 8)}…`;
}
