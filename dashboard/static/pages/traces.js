// The list of traces: search, sort, page, and keys to walk it.
import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../api.js";
import { moment } from "../format.js";
import { range, rangeText, route, set } from "../state.js";
import { page, searchPath } from "../trace-query.js";
import { Filters } from "../ui/filters.js";
import { Header } from "../ui/header.js";
import { html } from "../ui/html.js";
import { Failed } from "../ui/panel.js";
import { TraceRows } from "../ui/trace-rows.js";
import { TraceSearch } from "../ui/trace-search.js";

/** @typedef {import("../trace-query.js").Found} Found */

/** @param {number} ms */
const iso = (ms) => new Date(ms).toISOString();

/** Pages of the search, one after the other; a new search starts again, a refresh replaces the first page in place. */
function useSearch() {
  const { from, to } = range.value;
  const params = route.value.params.toString();
  const [found, setFound] = useState({ rows: /** @type {Found[] | null} */ (null), cursor: /** @type {string | null} */ (null), error: /** @type {Error | null} */ (null), busy: true, pages: 1 });
  const turn = useRef(0);
  /** @param {string | null} cursor @param {Found[]} before */
  const load = (cursor, before) => {
    const mine = (turn.current += 1);
    setFound((old) => ({ ...old, busy: true }));
    request(searchPath(route.peek().params, { from: iso(from), to: iso(to) }, cursor)).then(
      (answer) => {
        if (mine !== turn.current) return;
        const next = page(answer);
        setFound((old) => ({ rows: [...before, ...next.rows], cursor: next.cursor, error: null, busy: false, pages: cursor ? old.pages + 1 : 1 }));
      },
      (error) => mine === turn.current && setFound((old) => ({ ...old, error, busy: false })),
    );
  };
  const first = useRef("");
  useEffect(() => {
    // Whoever has paged on reads: a refresh would pull the list away from under them.
    const fresh = first.current !== params;
    if (!fresh && found.pages > 1) return;
    first.current = params;
    load(null, []);
  }, [from, to, params]);
  return { ...found, more: () => found.cursor && !found.busy && load(found.cursor, found.rows ?? []) };
}

export function Traces() {
  const search = useSearch();
  const { rows, error, busy, cursor } = search;
  return html`<${Header} title=${html`<h1>Traces</h1>`} />
    <main class="content" id="main" tabindex="-1">
      <${Filters} />
      <${TraceSearch} />
      <section class=${`panel${busy && rows ? " busy" : ""}`} aria-label="Traces" aria-busy=${String(busy)}>
        ${rows === null && error && html`<${Failed} error=${error} />`}
        ${rows === null && !error && html`<div class="skeleton" role="status"><span class="visually-hidden">Loading traces</span></div>`}
        ${rows !== null && error && html`<p class="notice error" role="alert">${error.message}</p>`}
        ${rows !== null && rows.length === 0 && html`<div class="state"><strong>No traces match.</strong><span>Widen the range${rangeText.value === "30d" ? "" : " or remove a filter"}.</span>
          <button type="button" class="button" onClick=${() => set({ range: "7d" })}>Look at the last 7 days</button></div>`}
        ${rows !== null && rows.length > 0 && html`<${TraceRows} rows=${rows} more=${search.more} />`}
        ${rows !== null && rows.length > 0 && html`<footer class="list-foot"><span class="muted">${rows.length} traces${cursor ? " so far" : ""}, since ${moment(new Date(range.value.from))}</span>
          ${cursor && html`<button type="button" class="button" disabled=${busy} onClick=${search.more}>${busy ? "Loading…" : "Load more"}</button>`}</footer>`}
      </section>
    </main>`;
}
