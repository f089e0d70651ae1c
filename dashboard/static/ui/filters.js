// Filters as chips; their values come from what the range holds.
import { useState } from "preact/hooks";
import { FILTER_FIELDS } from "../address.js";
import { records, useAnswer } from "../api.js";
import { count } from "../format.js";
import { valuesOf } from "../questions.js";
import { route, set } from "../state.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";

export function Filters() {
  const params = route.value.params;
  const any = FILTER_FIELDS.some((field) => params.has(field));
  return html`<div class="filters" role="group" aria-label="Filters">
    ${FILTER_FIELDS.map((field) => html`<${Chip} key=${field} field=${field} chosen=${params.getAll(field)} />`)}
    ${any && html`<button type="button" class="button ghost chip" onClick=${() => set(Object.fromEntries(FILTER_FIELDS.map((field) => [field, null])))}>Clear</button>`}
  </div>`;
}

/** @param {{ field: string, chosen: string[] }} props */
function Chip({ field, chosen }) {
  const words = chosen.length > 2 ? `${chosen.length} chosen` : chosen.join(", ");
  const label = chosen.length ? html`<span>${field}</span><b class="clip">${words}</b>` : html`<${Icon} name="plus" /><span>${field}</span>`;
  return html`<${Menu} title=${chosen.length ? `Filter ${field}: ${words}` : `Filter by ${field}`} className=${`button chip${chosen.length ? " set" : ""}`} label=${label}>
    ${() => html`<${Values} field=${field} chosen=${chosen} />`}
  </${Menu}>`;
}

/** @param {{ field: string, chosen: string[] }} props */
function Values({ field, chosen }) {
  const [text, setText] = useState("");
  const loaded = useAnswer(valuesOf(field));
  const rows = loaded.data ? records(loaded.data).filter((row) => row[field] != null && row[field] !== "") : [];
  const missing = chosen.filter((value) => !rows.some((row) => row[field] === value)).map((value) => ({ [field]: value, requests: 0 }));
  const listed = [...rows, ...missing].filter((row) => String(row[field]).toLowerCase().includes(text.toLowerCase()));
  /** @param {string} value */
  const toggle = (value) => set({ [field]: chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value] });
  return html`<input class="field" style=${{ width: "100%" }} placeholder=${`Find a ${field}`} aria-label=${`Find a ${field}`} value=${text} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
    <div class="filter-values">
      ${loaded.error && html`<div class="state" role="alert">${loaded.error.message}</div>`}
      ${loaded.data && listed.length === 0 && html`<div class="hint" style=${{ padding: "8px" }}>No ${field} in this range.</div>`}
      ${listed.map((row) => html`<button type="button" key=${row[field]} class="menu-item" role="menuitemcheckbox" aria-checked=${String(chosen.includes(row[field]))} onClick=${() => toggle(row[field])}>
        <span class="box"><${Icon} name="check" /></span><span class="clip">${row[field]}</span><span class="count">${count(row.requests)}</span></button>`)}
    </div>`;
}
