// Ranges of time and how finely each is cut. Pure; tested under node.

const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** @typedef {{ key: string, label: string, ms: number, refresh: number }} Preset */
/** @typedef {{ from: number, to: number }} Span */

/** @type {Preset[]} */
export const PRESETS = [
  { key: "15m", label: "Last 15 minutes", ms: 15 * MINUTE, refresh: 5_000 },
  { key: "1h", label: "Last hour", ms: HOUR, refresh: 10_000 },
  { key: "6h", label: "Last 6 hours", ms: 6 * HOUR, refresh: 20_000 },
  { key: "24h", label: "Last 24 hours", ms: DAY, refresh: 30_000 },
  { key: "7d", label: "Last 7 days", ms: 7 * DAY, refresh: 60_000 },
  { key: "30d", label: "Last 30 days", ms: 30 * DAY, refresh: 120_000 },
];

/** Steps the rollups answer without touching raw rows. @type {[string, number][]} */
const STEPS = [
  ["10s", 10_000], ["30s", 30_000], ["1m", MINUTE], ["2m", 2 * MINUTE], ["5m", 5 * MINUTE], ["10m", 10 * MINUTE], ["15m", 15 * MINUTE],
  ["30m", 30 * MINUTE], ["1h", HOUR], ["2h", 2 * HOUR], ["4h", 4 * HOUR], ["6h", 6 * HOUR], ["12h", 12 * HOUR], ["1d", DAY], ["7d", 7 * DAY],
];

export const MAX_BUCKETS = 100;

/** The finest step that keeps a chart at about a hundred buckets. @param {number} ms @returns {{ name: string, ms: number }} */
export function step(ms) {
  const found = STEPS.find(([, size]) => ms / size <= MAX_BUCKETS) ?? STEPS[STEPS.length - 1];
  return { name: found[0], ms: found[1] };
}

/** A range as the address holds it: a preset's key, or `from-to` in epoch seconds. @param {string} text @param {number} now @returns {Span & { key: string | null }} */
export function resolve(text, now) {
  const preset = PRESETS.find((candidate) => candidate.key === text);
  if (preset) return { from: now - preset.ms, to: now, key: preset.key };
  const match = /^(\d{1,12})-(\d{1,12})$/.exec(text);
  if (match && Number(match[1]) < Number(match[2])) return { from: Number(match[1]) * 1000, to: Number(match[2]) * 1000, key: null };
  return resolve("1h", now);
}

/** @param {number} from @param {number} to */
export function custom(from, to) {
  const start = Math.floor(from / 1000);
  return `${start}-${Math.max(start + 1, Math.ceil(to / 1000))}`;
}

/** The period of the same length just before. @param {Span} range @returns {Span} */
export function before(range) {
  return { from: range.from - (range.to - range.from), to: range.from };
}

/** The finest rollup: a range of whole steps of it needs no raw rows at its edges. */
const EDGE = 10_000;
/** Long ranges take the next one: their ends are then read from one table less. */
const LONG_EDGE = MINUTE;

/** The range widened to whole steps. @param {Span & { key: string | null }} range @returns {Span & { key: string | null, slack: number, end: number }} */
export function covering(range) {
  const edge = range.to - range.from > HOUR ? LONG_EDGE : EDGE;
  const from = Math.floor(range.from / edge) * edge;
  const to = Math.ceil(range.to / edge) * edge;
  return { from, to, key: range.key, slack: to - from - (range.to - range.from), end: range.to };
}
