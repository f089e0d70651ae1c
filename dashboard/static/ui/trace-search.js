// The fields above the list of traces. Typing waits a moment before it asks.
import { useEffect, useRef, useState } from "preact/hooks";
import { go, route, set } from "../state.js";
import { isTraceId, SEARCH } from "../trace-query.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";

const WAIT_MS = 350;

export function TraceSearch() {
  const params = route.value.params;
  const any = Object.keys(SEARCH).some((key) => params.has(key));
  return html`<form class="search" role="search" aria-label="Search traces" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
    <div class="search-main"><${Icon} name="search" /><${Typed} name="name" label="Name or trace id" wide id="trace-search" onValue=${(/** @type {string} */ text) => isTraceId(text) && (go("traces", text.trim().toLowerCase()), true)} /></div>
    <span class="switch tall" role="group" aria-label="Status">${["", "ok", "error"].map((status) => html`<button type="button" key=${status} aria-pressed=${String((params.get("status") ?? "") === status)} onClick=${() => set({ status: status || null })}>${status || "all"}</button>`)}</span>
    <${Typed} name="user_id" label="User" /><${Typed} name="session_id" label="Session" />
    <${Typed} name="min_ms" label="Min ms" hint="The whole trace took at least so many milliseconds" number /><${Typed} name="min_cost" label="Min $" hint="A call in it cost at least so many dollars" number />
    ${any && html`<button type="button" class="button ghost" onClick=${() => set(Object.fromEntries(Object.keys(SEARCH).map((key) => [key, null])))}>Clear</button>`}
  </form>`;
}

/** @param {{ name: string, label: string, hint?: string, number?: boolean, wide?: boolean, id?: string, onValue?: (text: string) => boolean }} props */
function Typed({ name, label, hint, number = false, wide = false, id, onValue }) {
  const stored = route.value.params.get(name) ?? "";
  const [text, setText] = useState(stored);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => setText(stored), [stored]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (/** @type {any} */ event) => {
    const value = event.currentTarget.value;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onValue?.(value) || set({ [name]: value.trim() || null }, { replace: true }), WAIT_MS);
  };
  return html`<input id=${id} class=${`field${wide ? " wide" : ""}${number ? " short" : ""}`} type=${number ? "number" : "search"} min="0" step="any" aria-label=${hint ?? label} title=${hint ?? ""} placeholder=${label} value=${text} onInput=${type} autocomplete="off" spellcheck=${false} />`;
}
