// The latest events as they are stored. Pausing closes the stream.
import { useEffect, useRef, useState } from "preact/hooks";
import { filters, filterText } from "../address.js";
import { clock, count, duration, money, NONE } from "../format.js";
import { link, live, route } from "../state.js";
import { html } from "../ui/html.js";

const KEPT = 40;
/** Whatever names an event, the most telling first. */
const NAMING = ["model", "tool_name", "agent_name", "policy", "evaluator", "worker", "index", "name", "action", "job", "item"];
/** Events are gathered and drawn a few times a second at most, however many come. */
const DRAW_EVERY_MS = 400;
/** Events a second are the mean over this. */
const PACE_MS = 5_000;

export function Live() {
  const [rows, setRows] = useState(/** @type {any[]} */ ([]));
  const [state, setState] = useState("connecting");
  const [pace, setPace] = useState(0);
  const pending = useRef(/** @type {any[]} */ ([]));
  const wanted = filters(route.value.params).map((item) => `filter=${encodeURIComponent(filterText(item))}`).join("&");
  useEffect(() => (live.value ? listen(`/v1/live${wanted && `?${wanted}`}`, pending, setRows, setState, setPace) : setState("paused")), [live.value, wanted]);
  const dot = state === "open" ? "" : state === "paused" ? " off" : " bad";
  const words = /** @type {Record<string, string>} */ ({ open: `${count(pace)} events/s`, paused: "paused", connecting: "connecting…", lost: "connection lost, trying again" })[state];
  return html`<section class="panel w4" aria-label="Live events" data-panel="live">
    <header class="panel-head"><h2>Live</h2><span class=${`live-dot${dot}`}></span><span class="sum clip">${words}</span></header>
    <div class="panel-body"><div class="live">
      ${rows.length === 0 && html`<div class="state"><strong>${state === "paused" ? "Paused." : "Waiting for events."}</strong></div>`}
      ${rows.map((event) => html`<${Row} key=${event.id} event=${event} />`)}
    </div></div></section>`;
}

/** @param {{ event: any }} props */
function Row({ event }) {
  const data = event.data ?? {};
  const failed = data.status === "error";
  const what = NAMING.map((name) => data[name]).find(Boolean) ?? "";
  const detail = failed ? data.error_type ?? "error" : event.user_id ?? event.project ?? event.source;
  const cost = data.cost_usd ?? event.derived?.hub_cost_usd;
  const inner = html`<span class="muted">${clock(new Date(event.time))}</span><span class=${`dot${failed ? " error" : data.status ? "" : " none"}`} title=${data.status ?? ""}></span>
    <span class="clip" title=${`${event.type} ${what} ${detail ?? ""}`}>${what || event.type} <span class="muted">${event.type === "llm.request" ? detail : what ? event.type : detail}</span></span>
    <span class="num">${duration(data.duration_ms)}</span><span class="num muted">${cost == null ? NONE : money(Number(cost))}</span>`;
  return event.trace_id ? html`<a class="live-row" href=${link("traces", event.trace_id)}>${inner}</a>` : html`<div class="live-row">${inner}</div>`;
}

/** @param {string} url @param {{ current: any[] }} pending @param {(update: any) => void} setRows @param {(state: string) => void} setState @param {(pace: number) => void} setPace */
function listen(url, pending, setRows, setState, setPace) {
  const source = new EventSource(url);
  /** @type {{ at: number, events: number }[]} */
  let counted = [];
  let serial = 0;
  setState("connecting");
  const take = (/** @type {MessageEvent} */ message) => {
    for (const event of JSON.parse(message.data)) pending.current.push({ ...event, id: `${event.id}-${(serial += 1)}` });
    if (pending.current.length > KEPT) pending.current = pending.current.slice(-KEPT);
  };
  const tally = (/** @type {MessageEvent} */ message) => {
    const point = JSON.parse(message.data);
    if (point.events) counted.push({ at: Date.now(), events: point.events });
  };
  source.addEventListener("events", /** @type {any} */ (take));
  source.addEventListener("second", /** @type {any} */ (tally));
  source.addEventListener("open", () => setState("open"));
  source.addEventListener("error", () => setState("lost"));
  const drawing = setInterval(() => {
    counted = counted.filter((point) => point.at > Date.now() - PACE_MS);
    setPace(Math.round(counted.reduce((sum, point) => sum + point.events, 0) / (PACE_MS / 10_000)) / 10);
    if (!pending.current.length || document.hidden) return;
    const fresh = pending.current.reverse();
    pending.current = [];
    setRows((/** @type {any[]} */ old) => [...fresh, ...old].slice(0, KEPT));
  }, DRAW_EVERY_MS);
  return () => {
    clearInterval(drawing);
    source.close();
  };
}
