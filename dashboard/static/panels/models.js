// Models beside each other.
import { records, useAnswer } from "../api.js";
import { count, duration, money, percent, rate } from "../format.js";
import { byModel } from "../questions.js";
import { set } from "../state.js";
import { html } from "../ui/html.js";
import { slot } from "../ui/palette.js";
import { Panel } from "../ui/panel.js";
import { Table } from "../ui/table.js";

/** @param {any} row */
function name(row) {
  const color = { background: `var(${slot(row.model ?? "(none)")})` };
  return html`<span class="name-cell"><span class="swatch" style=${color}></span><button type="button" class="clip" title=${`Only ${row.model}`} onClick=${() => set({ model: row.model })}>${row.model ?? "(none)"}</button></span>`;
}

/** @param {any} row */
function cost(row) {
  if (row.unpriced_requests && row.unpriced_requests === row.requests) return html`<span class="badge warn" title="No price is known for this model">unpriced</span>`;
  return money(row.cost_usd);
}

const COLUMNS = [
  { name: "model", label: "Model", cell: name },
  { name: "requests", label: "Requests", num: true, bar: true, format: count },
  { name: "error_rate", label: "Errors", num: true, format: percent },
  { name: "latency_p95", label: "p95", num: true, format: duration },
  { name: "ttft_p95", label: "First token p95", num: true, format: duration },
  { name: "tokens_per_second", label: "Speed", num: true, format: rate },
  { name: "total_tokens", label: "Tokens", num: true, format: count },
  { name: "cost_usd", label: "Cost", num: true, bar: true, cell: cost },
  { name: "per_request", label: "per request", num: true, format: money },
];

export function Models() {
  const loaded = useAnswer(byModel.value);
  const rows = loaded.data ? records(loaded.data).map((row) => ({ ...row, per_request: perRequest(row) })) : [];
  return html`<${Panel} name="models" title="Models compared" wide="w8" loaded=${loaded} empty=${rows.length === 0}>
    <${Table} columns=${COLUMNS} rows=${rows} by="requests" keyOf=${(/** @type {any} */ row) => String(row.model)} caption="Models compared" />
  </${Panel}>`;
}

/** @param {Record<string, any>} row */
function perRequest(row) {
  const priced = row.requests - (row.unpriced_requests ?? 0);
  return priced > 0 && row.cost_usd != null ? row.cost_usd / priced : null;
}
