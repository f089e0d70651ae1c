// One trace: what it came to, the waterfall, and the chosen span.
import { useEffect, useMemo } from "preact/hooks";
import { ApiError, request, useLoaded } from "../api.js";
import { count, duration, money, moment } from "../format.js";
import { link, route, set } from "../state.js";
import { layout, summary } from "../trace-tree.js";
import { Copy } from "../ui/copy.js";
import { Details } from "../ui/details.js";
import { Header } from "../ui/header.js";
import { html } from "../ui/html.js";
import { Icon } from "../ui/icons.js";
import { Waterfall } from "../ui/waterfall.js";

/** @param {{ id: string }} props */
export function Trace({ id }) {
  const loaded = useLoaded(`trace ${id}`, () => request(`/v1/traces/${encodeURIComponent(id)}`));
  const title = html`<a class="button square ghost" href=${link("traces")} aria-label="Back to the traces" title="Back to the traces"><${Icon} name="back" /></a><h1>Trace</h1><${Copy} text=${id} label="trace id" />`;
  return html`<${Header} title=${title} timed=${false} />
    <main class="content" id="main" tabindex="-1">
      ${loaded.error && html`<${Missing} error=${loaded.error} />`}
      ${!loaded.data && !loaded.error && html`<section class="panel"><div class="skeleton" role="status"><span class="visually-hidden">Loading the trace</span></div></section>`}
      ${loaded.data && html`<${Loaded} trace=${loaded.data} />`}
    </main>`;
}

/** @param {{ error: Error }} props */
function Missing({ error }) {
  const gone = error instanceof ApiError && error.status === 404;
  return html`<section class="panel"><div class="state" role="alert"><strong>${gone ? "There is no such trace." : "The trace could not be loaded."}</strong>
    <span>${gone ? "It may be older than the retention, or its spans have not come yet." : error.message}</span><a class="button" href=${link("traces")}>All traces</a></div></section>`;
}

/** @param {{ trace: any }} props */
function Loaded({ trace }) {
  const tree = useMemo(() => layout(trace.spans), [trace]);
  const all = useMemo(() => summary(tree.rows), [tree]);
  const wanted = route.value.params.get("span");
  const row = tree.rows.find((one) => one.key === wanted) ?? tree.rows.find((one) => one.span.status === "error" && !one.failedBelow) ?? tree.rows[0];
  const choose = (/** @type {string} */ span) => set({ span }, { replace: true });
  useEffect(() => () => route.peek().page === "traces" && route.peek().id === null && set({ span: null }, { replace: true }), []);
  if (!row) return html`<section class="panel"><div class="state"><strong>This trace has no spans.</strong></div></section>`;
  const root = tree.rows[0].span;
  return html`<section class="panel trace-head" aria-label="Summary">
      <span class="trace-name clip" title=${root.name}>${root.name}</span>
      <span class=${`badge ${all.errors ? "error" : "ok"}`}>${all.errors ? `${all.errors} error${all.errors > 1 ? "s" : ""}` : "ok"}</span>
      <${Fact} value=${duration(trace.duration_ms)} label="duration" /><${Fact} value=${String(all.spans)} label=${all.spans === 1 ? "span" : "spans"} />
      <${Fact} value=${count(all.tokens)} label="tokens" /><${Fact} value=${trace.cost_usd == null ? "no price" : money(trace.cost_usd)} label="cost" />
      <${Fact} value=${moment(new Date(tree.from))} label="started" />
      ${trace.truncated && html`<span class="badge warn" title="The trace has more spans than are shown">cut at ${all.spans} spans</span>`}
      ${all.skewed > 0 && html`<span class="badge warn"><${Icon} name="clock" />${all.skewed} skewed</span>`}
      <span class="muted clip">${all.names.join(", ")}</span>
    </section>
    <div class="trace-body"><${Waterfall} tree=${tree} chosen=${row.key} choose=${choose} />
      <${Details} key=${row.key} row=${row} rows=${tree.rows} from=${tree.from} /></div>`;
}

/** @param {{ value: string, label: string }} props */
function Fact({ value, label }) {
  return html`<span class="fact"><b>${value}</b><span class="muted">${label}</span></span>`;
}
