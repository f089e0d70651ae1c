// The frame of a panel: title, states, and the same figures as a table for whoever cannot see the chart.
import { useState } from "preact/hooks";
import { clock, day } from "../format.js";
import { now } from "../state.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";

/** @param {{ title: string, sum?: string, wide?: string, loaded: import("../api.js").Loaded<any>, empty?: boolean, emptyText?: string, actions?: any, table?: any, children?: any, name: string }} props */
export function Panel({ title, sum, wide = "w4", loaded, empty = false, emptyText = "Nothing in this range.", actions, table, children, name }) {
  const [asTable, setAsTable] = useState(false);
  const busy = loaded.loading && loaded.data !== null;
  return html`<section class=${`panel ${wide}${busy ? " busy" : ""}`} aria-label=${title} data-panel=${name} aria-busy=${String(loaded.loading)}>
    <header class="panel-head"><h2>${title}</h2>${sum && html`<span class="sum clip">${sum}</span>`}<span class="space"></span>${actions}
      ${table && html`<button type="button" class="button square ghost" aria-pressed=${String(asTable)} aria-label=${`${title} as a table`} title="As a table" onClick=${() => setAsTable(!asTable)}><${Icon} name=${asTable ? "chart" : "table"} /></button>`}
    </header>
    <div class="panel-body">${body()}</div>
  </section>`;

  function body() {
    if (loaded.data === null && loaded.error) return html`<${Failed} error=${loaded.error} />`;
    if (loaded.data === null) return html`<div class="skeleton" role="status"><span class="visually-hidden">Loading ${title}</span></div>`;
    if (empty) return html`<div class="state"><strong>${emptyText}</strong><span>Widen the range or remove a filter.</span></div>`;
    return html`${loaded.error && html`<p class="notice error" role="alert">${loaded.error.message} The figures below are the last that came.</p>`}${asTable ? table() : children}`;
  }
}

/** @param {{ error: Error }} props */
export function Failed({ error }) {
  return html`<div class="state" role="alert"><strong>This could not be loaded.</strong><span>${error.message}</span>
    <button type="button" class="button" onClick=${() => (now.value = Date.now())}><${Icon} name="refresh" />Try again</button></div>`;
}

/** The values of a chart, newest first. @param {number[]} x @param {{ name: string, label: string, values: (number | null)[] }[]} lines @param {(value: any) => string} format */
export function seriesTable(x, lines, format) {
  const order = x.map((_, at) => at).reverse();
  return html`<div class="table-wrap" style=${{ maxHeight: "220px" }} tabindex="0"><table class="table">
    <thead><tr><th scope="col">Time</th>${lines.map((line) => html`<th scope="col" class="num" key=${line.name}>${line.label}</th>`)}</tr></thead>
    <tbody>${order.map((at) => html`<tr key=${x[at]}><td class="num">${day(new Date(x[at] * 1000))} ${clock(new Date(x[at] * 1000), "s")}</td>${lines.map((line) => html`<td class="num" key=${line.name}>${format(line.values[at])}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
