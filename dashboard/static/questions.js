// The questions of the overview. Panels that share one ask it once.
import { computed } from "@preact/signals";
import { filters } from "./address.js";
import { DAY, HOUR } from "./ranges.js";
import { compare, granularity, range, route } from "./state.js";

const TOTALS = ["requests", "errors", "error_rate", "latency_p95", "ttft_p95", "input_tokens", "output_tokens", "total_tokens", "cost_usd", "unpriced_requests", "tokens_per_second"];
const SERIES = ["requests", "errors", "error_rate", "latency_p50", "latency_p90", "latency_p95", "latency_p99", "ttft_p95", "input_tokens", "output_tokens", "cache_read_input_tokens", "total_tokens", "cost_usd", "tokens_per_second", "unpriced_requests"];

/** Series of a chart beyond this are not worth their bytes. */
const MOST_SERIES = 100;

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString();

const base = computed(() => ({
  time: { from: iso(range.value.from), to: iso(range.value.to) },
  filters: filters(route.value.params),
}));

export const totals = computed(() => ({ measures: TOTALS, ...base.value }));

/** The same stretch just before: as long as what has passed of the range. */
export const totalsBefore = computed(() => {
  if (!compare.value) return null;
  const { from, to, slack, end } = range.value;
  const length = to - from - slack;
  return { ...totals.value, time: { from: iso(from - length), to: iso(Math.floor((Math.min(end, to) - length) / 10_000) * 10_000) } };
});

/** Users apart: only the hourly rollup counts them, and what is asked with them would be read from there or from raw rows. */
export const users = computed(() => ({ measures: ["users"], ...base.value }));
export const usersBefore = computed(() => totalsBefore.value && { ...totalsBefore.value, measures: ["users"] });
export const userSeries = computed(() => (range.value.to - range.value.from < DAY ? null : { measures: ["users"], granularity: coarse(), ...base.value }));

/** Never finer than an hour. */
function coarse() {
  return granularity.value.ms < HOUR ? "1h" : granularity.value.name;
}

export const series = computed(() => ({ measures: SERIES, granularity: granularity.value.name, ...base.value }));

export const byModel = computed(() => ({
  measures: ["requests", "error_rate", "latency_p95", "ttft_p95", "total_tokens", "tokens_per_second", "cost_usd", "unpriced_requests"],
  dimensions: ["model"],
  order: [{ field: "requests", direction: /** @type {const} */ ("desc") }],
  limit: 50,
  ...base.value,
}));

export const modelSeries = computed(() => ({
  measures: ["requests", "cost_usd"],
  dimensions: ["model"],
  granularity: granularity.value.name,
  order: [{ field: "requests", direction: /** @type {const} */ ("desc") }],
  limit: MOST_SERIES,
  ...base.value,
}));

export const errorSeries = computed(() => ({
  measures: ["errors"],
  dimensions: ["error_class"],
  granularity: granularity.value.name,
  limit: MOST_SERIES,
  ...base.value,
  filters: [...base.value.filters, { field: "status", op: "in", values: ["error"] }],
}));

export const byUser = computed(() => ({
  measures: ["cost_usd", "requests", "total_tokens", "error_rate"],
  dimensions: ["user_id"],
  order: [{ field: "cost_usd", direction: /** @type {const} */ ("desc") }],
  limit: 8,
  ...base.value,
}));

/** The values a field has in the range, whatever it is filtered to. @param {string} field */
export function valuesOf(field) {
  return {
    measures: ["requests"],
    dimensions: [field],
    order: [{ field: "requests", direction: /** @type {const} */ ("desc") }],
    limit: 100,
    time: base.value.time,
    filters: base.value.filters.filter((item) => item.field !== field),
  };
}
