// The search for traces: from the address to the API's parameters, and its answer to rows. Pure; tested under node.
import { filters, filterText } from "./address.js";

/** Fields of the search beside the filters of all pages: name in the address → parameter of the API and its text.
 * @type {Record<string, (value: string) => [string, string]>} */
export const SEARCH = {
  status: (value) => ["errors", String(value === "error")],
  min_ms: (value) => ["min_duration_ms", value],
  user_id: (value) => ["filter", filterText({ field: "user_id", op: "in", values: [value] })],
  session_id: (value) => ["filter", filterText({ field: "session_id", op: "in", values: [value] })],
  min_cost: (value) => ["filter", `cost_usd:gte:${value}`],
  name: (value) => ["filter", `name:contains:${value}`],
};

export const PAGE_SIZE = 50;

/** @param {URLSearchParams} params @param {{ from: string, to: string }} time @param {string | null} cursor */
export function searchPath(params, time, cursor) {
  const query = new URLSearchParams({ from: time.from, to: time.to, limit: String(PAGE_SIZE) });
  for (const item of filters(params)) query.append("filter", filterText(item));
  for (const [key, parameter] of Object.entries(SEARCH)) {
    const value = params.get(key);
    if (value) query.append(...parameter(value));
  }
  const order = params.get("order");
  if (order) query.set("order", order);
  if (cursor) query.set("cursor", cursor);
  return `/v1/traces?${query}`;
}

/** @typedef {{ trace_id: string, start: string | null, name: string, status: string, duration_ms: number | null, spans: number | null, errors: number | null, models: string[], tokens: number | null, cost_usd: number | null, user_id: string | null, session_id: string | null }} Found */

/** @param {any} answer @returns {{ rows: Found[], cursor: string | null }} */
export function page(answer) {
  return { rows: answer.traces.map(found), cursor: answer.cursor ?? null };
}

/** @param {any} row @returns {Found} */
function found(row) {
  const tokens = row.input_tokens == null && row.output_tokens == null ? null : (row.input_tokens ?? 0) + (row.output_tokens ?? 0);
  return { ...row, name: row.name || "(no name)", tokens, models: row.models ?? [] };
}

/** @param {string} text */
export function isTraceId(text) {
  return /^[0-9a-f]{32}$/i.test(text.trim());
}
