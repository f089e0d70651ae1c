// Everything about one span.
import { request, useLoaded } from "../api.js";
import { clock, count, day, duration, exact, money, NONE } from "../format.js";
import { selfTime } from "../trace-tree.js";
import { Copy } from "./copy.js";
import { html } from "./html.js";
import { kind } from "./kinds.js";
import { Messages, textOf } from "./messages.js";

/** Contents are shown as messages, not among the fields. */
const CONTENTS = ["input_messages", "output_messages", "arguments", "result", "query", "comment", "explanation"];
/** Said above already. */
const SAID = [...CONTENTS, "duration_ms", "status", "name", "time_to_first_token_ms"];
const TITLES = ["Input", "Output", "Arguments", "Result", "Query", "Comment", "Explanation"];

/** @param {{ row: import("../trace-tree.js").Row, rows: import("../trace-tree.js").Row[], from: number }} props */
export function Details({ row, rows, from }) {
  const { span } = row;
  const id = span.id ?? null;
  const whole = useLoaded(id && `event ${id}`, () => request(`/v1/events/${encodeURIComponent(/** @type {string} */ (id))}`));
  const data = { ...span.data, ...(whole.data?.data ?? {}) };
  const attributes = whole.data?.attributes ?? {};
  const look = kind(span.type);
  const at = new Date(row.start);
  const failed = span.status === "error";
  return html`<aside class="panel details" aria-label="Span" data-details=${row.key}>
    <header class="details-head"><div class="name-cell"><span class="swatch" style=${{ background: `var(${look.color})` }}></span><span class="muted">${span.type}</span><span class=${`badge ${failed ? "error" : "ok"}`}>${span.status ?? "no status"}</span></div>
      <h2>${span.name || look.label}</h2>
      ${failed && html`<p class="notice error">${data.error_type ?? data.status_message ?? "This span failed"}${data.http_status_code ? `, HTTP ${data.http_status_code}` : ""}</p>`}
      ${row.skew && html`<p class="notice warn">Lies outside its parent's time: the clocks of two machines differ.</p>`}</header>
    <section><dl class="facts">
      <${Fact} label="Duration" value=${duration(span.duration_ms)} /><${Fact} label="Own time" value=${duration(selfTime(row, rows))} /><${Fact} label="Starts at" value=${`+${duration(row.start - from)}`} />
      ${row.tokens !== null && html`<${Fact} label="Tokens in" value=${count(data.input_tokens)} /><${Fact} label="Tokens out" value=${count(data.output_tokens)} />`}
      ${span.cost_usd != null ? html`<${Fact} label="Cost" value=${money(span.cost_usd)} />` : span.type === "llm.request" && html`<${Fact} label="Cost" value="no price" />`}
      ${data.time_to_first_token_ms != null && html`<${Fact} label="First token" value=${duration(data.time_to_first_token_ms)} />`}
      ${data.cache_read_input_tokens ? html`<${Fact} label="From cache" value=${count(data.cache_read_input_tokens)} />` : null}
    </dl></section>
    ${CONTENTS.map((name, at_) => html`<${Messages} key=${name} title=${TITLES[at_]} value=${data[name]} />`)}
    <${Pairs} title="Fields" of=${Object.fromEntries(Object.entries(data).filter(([name]) => !SAID.includes(name)))} />
    <${Pairs} title="Attributes" of=${attributes} />
    <section><h3>Identity</h3><dl class="pairs">${span.span_id && html`<dt>span</dt><dd><${Copy} text=${span.span_id} label="span id" whole /></dd>`}
      ${span.parent_span_id && html`<dt>parent</dt><dd><${Copy} text=${span.parent_span_id} label="parent span id" whole /></dd>`}
      ${id && html`<dt>event</dt><dd><${Copy} text=${id} label="event id" whole /></dd>`}<dt>start</dt><dd>${day(at)} ${clock(at, "ms")}</dd></dl></section>
  </aside>`;
}

/** @param {{ label: string, value: string }} props */
function Fact({ label, value }) {
  return html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
}

/** @param {{ title: string, of: Record<string, any> }} props */
function Pairs({ title, of }) {
  const pairs = Object.entries(of).filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!pairs.length) return null;
  return html`<section><h3>${title}</h3><dl class="pairs">${pairs.map(([name, value]) => html`<dt key=${`t${name}`}>${name}</dt><dd key=${`d${name}`} class=${typeof value === "object" ? "mono" : ""}>${typeof value === "boolean" ? String(value) : value === "" ? NONE : typeof value === "number" ? exact(Number(value.toPrecision(7))) : textOf(value)}</dd>`)}</dl></section>`;
}
