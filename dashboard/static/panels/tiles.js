// The figures at a glance, each with its course and its change against the period before.
import { column, records, useAnswer } from "../api.js";
import { change, count, delta, duration, exact, money, percent, rate } from "../format.js";
import { series, totals, totalsBefore, users, usersBefore, userSeries } from "../questions.js";
import { granularity, range } from "../state.js";
import { lines, starts } from "../ui/buckets.js";
import { html } from "../ui/html.js";
import { Failed } from "../ui/panel.js";
import { Spark } from "../ui/spark.js";

/** `better`: which way is good news; 0 is neither. */
const TILES = [
  { name: "requests", label: "Requests", format: count, better: 0, help: "Calls of language models" },
  { name: "error_rate", label: "Error rate", format: percent, better: -1, help: "Share of requests that failed", bad: true },
  { name: "latency_p95", label: "Latency p95", format: duration, better: -1, help: "95 of 100 requests were quicker" },
  { name: "ttft_p95", label: "First token p95", format: duration, better: -1, help: "Time to the first token; 95 of 100 were quicker" },
  { name: "total_tokens", label: "Tokens", format: count, better: 0, help: "Input and output" },
  { name: "cost_usd", label: "Cost", format: money, better: -1, help: "Priced requests, in US dollars" },
  { name: "users", label: "Users", format: count, better: 0, help: "Distinct users" },
  { name: "tokens_per_second", label: "Output speed", format: rate, better: 1, help: "Output tokens per second of a request" },
];

export function Tiles() {
  const now = useAnswer(totals.value);
  const before = useAnswer(totalsBefore.value);
  const course = useAnswer(series.value);
  const people = useAnswer(users.value);
  const peopleBefore = useAnswer(usersBefore.value);
  const peopleCourse = useAnswer(userSeries.value);
  if (now.data === null && now.error) return html`<section class="panel" aria-label="Key figures"><${Failed} error=${now.error} /></section>`;
  const figures = { ...first(now.data), ...first(people.data) };
  const earlier = totalsBefore.value ? { ...first(before.data), ...first(peopleBefore.data) } : {};
  const x = starts(range.value.from, range.value.to, granularity.value.ms);
  return html`<section class="tiles" aria-label="Key figures" aria-busy=${String(now.loading)}>
    ${TILES.map((tile) => html`<${Tile} key=${tile.name} tile=${tile} value=${figures[tile.name]} before=${earlier[tile.name]} values=${courseOf(tile.name)} />`)}
  </section>`;

  /** @param {string} name @returns {(number | null)[]} */
  function courseOf(name) {
    if (name === "users") return peopleCourse.data && userSeries.value ? column(peopleCourse.data, "users") : [];
    return course.data ? lines(course.data, x, [name])[0] : [];
  }
}

/** @param {import("../api.js").Answer | null} answer @returns {Record<string, any>} */
function first(answer) {
  return (answer && records(answer)[0]) ?? {};
}

/** @param {{ tile: typeof TILES[number], value: number | undefined, before: number | undefined, values: (number | null)[] }} props */
function Tile({ tile, value, before, values }) {
  const moved = change(value, before);
  const mood = moved === null || tile.better === 0 || Math.abs(moved) < 0.02 ? "" : moved * tile.better > 0 ? " good" : " poor";
  const spoken = before === undefined ? "" : `${tile.format(before)} in the period before`;
  return html`<div class="tile" data-tile=${tile.name} title=${`${tile.help}${value == null ? "" : `: ${exact(value)}`}${spoken && `; ${spoken}`}`}>
    <div class="tile-label clip">${tile.label}</div>
    <div class="tile-line"><span class="tile-value">${value === undefined ? "\u00a0" : tile.format(value)}</span>
      ${moved !== null && html`<span class=${`tile-delta${mood}`}>${delta(moved)}<span class="visually-hidden"> against ${spoken}</span></span>`}</div>
    <${Spark} values=${values} bad=${tile.bad} />
  </div>`;
}

/** Models without a price, named; nothing when all are priced. @param {{ answer: import("../api.js").Answer | null }} props */
export function Unpriced({ answer }) {
  if (!answer) return null;
  const counts = column(answer, "unpriced_requests");
  const names = column(answer, "model");
  const found = names.map((name, at) => ({ name, amount: counts[at] ?? 0 })).filter((model) => model.amount > 0);
  if (!found.length) return null;
  const sum = found.reduce((total, model) => total + model.amount, 0);
  return html`<p class="notice warn" role="status" data-notice="unpriced"><strong>${count(sum)} requests have no price</strong> and are not part of the cost:
    ${found.slice(0, 5).map((model, at) => html`${at ? ", " : " "}<code>${model.name ?? "(no model)"}</code> (${count(model.amount)})`)}${found.length > 5 ? ` and ${found.length - 5} more` : ""}.
    Give them a price of your own at <code>/v1/prices</code>.</p>`;
}
