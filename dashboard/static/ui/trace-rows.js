// Rows of the list of traces; j and k walk, Enter opens, the end of the list loads the next page.
import { useLayoutEffect, useRef } from "preact/hooks";
import { clock, count, day, duration, exact, money, NONE } from "../format.js";
import { go, link, route, set } from "../state.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";

/** @typedef {import("../trace-query.js").Found} Found */

/** name, label, whether the API sorts by it, whether it is a number, class for narrow screens. @type {[string, string, boolean, boolean, string][]} */
const COLUMNS = [
  ["start", "Started", true, false, ""],
  ["name", "Name", false, false, ""],
  ["status", "Status", false, false, "keep-2"],
  ["duration_ms", "Duration", true, true, ""],
  ["spans", "Spans", true, true, "keep-3"],
  ["models", "Models", false, false, "keep-2"],
  ["total_tokens", "Tokens", true, true, "keep-2"],
  ["cost_usd", "Cost", true, true, ""],
  ["user_id", "User", false, false, "keep-2"],
  ["session_id", "Session", false, false, "keep-3"],
];

/** @param {{ rows: Found[], more: () => void }} props */
export function TraceRows({ rows, more }) {
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const end = useRef(/** @type {HTMLDivElement | null} */ (null));
  const next = useRef(more);
  next.current = more;
  // Before the first paint: a key pressed as soon as the rows are seen counts.
  useLayoutEffect(() => {
    const walk = (/** @type {KeyboardEvent} */ event) => step(event, body.current);
    addEventListener("keydown", walk);
    const watch = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && next.current(), { rootMargin: "200px" });
    if (end.current) watch.observe(end.current);
    return () => {
      removeEventListener("keydown", walk);
      watch.disconnect();
    };
  }, []);
  const longest = Math.max(...rows.map((row) => row.duration_ms ?? 0), 0.001);
  return html`<div class="table-wrap"><table class="table traces"><caption class="visually-hidden">Traces; j and k walk, Enter opens</caption>
      <thead><tr>${COLUMNS.map((one) => html`<${Head} key=${one[0]} column=${one} />`)}</tr></thead>
      <tbody ref=${body}>${rows.map((row) => html`<${TraceRow} key=${row.trace_id} row=${row} longest=${longest} />`)}</tbody>
    </table></div><div ref=${end}></div>`;
}

/** @param {{ column: typeof COLUMNS[number] }} props */
function Head({ column: [name, label, sortable, num, keep] }) {
  const [by, direction] = (route.value.params.get("order") ?? "start:desc").split(":");
  const active = by === name;
  const turned = active && direction === "desc" ? "asc" : "desc";
  const content = sortable ? html`<button type="button" class="th-sort" onClick=${() => set({ order: `${name}:${turned}` })}>${label}${active && html`<${Icon} name=${direction === "desc" ? "down" : "up"} />`}</button>` : label;
  return html`<th scope="col" class=${`${num ? "num " : ""}${keep}`} aria-sort=${active ? (direction === "desc" ? "descending" : "ascending") : undefined}>${content}</th>`;
}

/** @param {{ row: Found, longest: number }} props */
function TraceRow({ row, longest }) {
  const at = row.start ? new Date(row.start) : null;
  const failed = row.status === "error";
  const open = (/** @type {MouseEvent} */ event) => !(/** @type {HTMLElement} */ (event.target).closest("a, button")) && go("traces", row.trace_id);
  return html`<tr class="trace-row" tabindex="-1" data-trace=${row.trace_id} onClick=${open}>
    <td class="when num" title=${row.start ?? ""}>${at ? html`<span class="muted">${day(at)}</span> ${clock(at)}` : NONE}</td>
    <td class="name"><a class=${`clip block${failed ? " fail" : ""}`} href=${link("traces", row.trace_id)} title=${row.name}>${row.name}</a></td>
    <td class="keep-2"><span class=${`badge ${failed ? "error" : "ok"}`}>${failed ? `error${row.errors && row.errors > 1 ? ` ×${row.errors}` : ""}` : row.status}</span></td>
    <td class="num took"><i style=${{ width: percentOf(row.duration_ms, longest) }}></i>${duration(row.duration_ms)}</td>
    <td class="num keep-3">${count(row.spans)}</td>
    <td class="models keep-2"><span class="clip block" title=${row.models.join(", ")}>${row.models.join(", ") || NONE}</span></td>
    <td class="num keep-2" title=${exact(row.tokens)}>${count(row.tokens)}</td>
    <td class="num">${money(row.cost_usd)}</td>
    <td class="who keep-2"><${Only} field="user_id" value=${row.user_id} /></td>
    <td class="who keep-3"><${Only} field="session_id" value=${row.session_id} /></td>
  </tr>`;
}

/** @param {number | null} value @param {number} of */
function percentOf(value, of) {
  return value == null ? "0" : `${((100 * value) / of).toFixed(1)}%`;
}

/** @param {{ field: string, value: string | null }} props */
function Only({ field, value }) {
  if (!value) return html`<span class="muted">${NONE}</span>`;
  return html`<button type="button" class="clip block plain" title=${`Only ${value}`} onClick=${() => set({ [field]: value })}>${value}</button>`;
}

/** @param {KeyboardEvent} event @param {HTMLTableSectionElement | null} body */
function step(event, body) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (!body || event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
  const rows = /** @type {HTMLElement[]} */ ([...body.rows]);
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  if (event.key === "Enter" && at >= 0 && target === rows[at]) go("traces", rows[at].dataset.trace ?? null);
  if (event.key !== "j" && event.key !== "k") return;
  const row = rows[Math.max(0, Math.min(rows.length - 1, event.key === "j" ? at + 1 : at - 1))];
  row?.focus();
  event.preventDefault();
}
