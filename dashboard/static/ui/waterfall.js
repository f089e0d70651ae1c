// The waterfall: a tree whose spans lie on one axis of time. Only the rows in view are in the page, however many there are.
import { useEffect, useRef, useState } from "preact/hooks";
import { count, duration, money } from "../format.js";
import { ticks, visible } from "../trace-tree.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { kind } from "./kinds.js";

/** @typedef {import("../trace-tree.js").Row} Row */

const ROW = 28;
const MARGIN = 12;

/** @param {{ tree: import("../trace-tree.js").Tree, chosen: string | null, choose: (id: string) => void }} props */
export function Waterfall({ tree, chosen, choose }) {
  const [folded, setFolded] = useState(/** @type {Set<string>} */ (new Set()));
  const [view, setView] = useState({ top: 0, height: 700 });
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const rows = visible(tree.rows, folded);
  const first = Math.max(0, Math.floor(view.top / ROW) - MARGIN);
  const drawn = rows.slice(first, Math.ceil((view.top + view.height) / ROW) + MARGIN);
  const length = tree.to - tree.from;
  const at = rows.findIndex((row) => row.key === chosen);

  useEffect(() => {
    const element = box.current;
    if (!element || at < 0) return;
    if (at * ROW < element.scrollTop) element.scrollTop = at * ROW;
    if ((at + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW - element.clientHeight;
  }, [at]);

  /** @param {string} id @param {boolean} [fold] */
  const turn = (id, fold = !folded.has(id)) => {
    const next = new Set(folded);
    if (fold) next.add(id);
    else next.delete(id);
    setFolded(next);
  };
  return html`<section class="panel waterfall" aria-label="Waterfall">
    <div class="wf-axis"><span>${rows.length} of ${tree.rows.length} spans</span><div class="wf-ticks" aria-hidden="true">${ticks(length, 5).map((tick) => html`<span key=${tick} style=${{ left: `${(100 * tick) / length}%` }}>${duration(tick)}</span>`)}</div><span class="num wf-cost">Cost</span></div>
    <div class="wf-rows" ref=${box} role="tree" aria-label="Spans; arrow keys walk and fold" tabindex="0" aria-activedescendant=${at >= 0 ? `span-${chosen}` : undefined}
      style=${{ height: `${rows.length * ROW + 1}px` }} onKeyDown=${keys} onScroll=${(/** @type {any} */ event) => setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}>
      <div style=${{ height: `${rows.length * ROW}px` }}></div>
      ${drawn.map((row, index) => html`<${Line} key=${row.key} row=${row} top=${(first + index) * ROW} tree=${tree} folded=${folded.has(row.key)} chosen=${row.key === chosen} choose=${choose} turn=${turn} />`)}
    </div>
    <${Kinds} rows=${tree.rows} />
  </section>`;

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const row = rows[at];
    const by = /** @type {Record<string, number>} */ ({ ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 })[event.key];
    if (by) choose(rows[Math.max(0, Math.min(rows.length - 1, at + by))].key);
    else if (event.key === "ArrowLeft" && row?.kids && !folded.has(row.key)) turn(row.key, true);
    else if (event.key === "ArrowLeft" && row?.parent) choose(row.parent.key);
    else if (event.key === "ArrowRight" && row?.kids) turn(row.key, false);
    else return;
    event.preventDefault();
  }
}

/** @param {{ row: Row, top: number, tree: import("../trace-tree.js").Tree, folded: boolean, chosen: boolean, choose: (id: string) => void, turn: (id: string) => void }} props */
function Line({ row, top, tree, folded, chosen, choose, turn }) {
  const { span } = row;
  const failed = span.status === "error";
  const look = kind(span.type);
  const fold = (/** @type {Event} */ event) => (event.stopPropagation(), turn(row.key));
  return html`<div class="wf-row" id=${`span-${row.key}`} role="treeitem" aria-level=${row.depth + 1} aria-selected=${String(chosen)} aria-expanded=${row.kids ? String(!folded) : undefined}
    style=${{ top: `${top}px` }} onClick=${() => choose(row.key)} data-span=${row.key}>
    <div class="wf-name" style=${{ paddingLeft: `${8 + Math.min(row.depth, 14) * 14}px` }}>
      ${row.kids ? html`<button type="button" tabindex="-1" class=${`wf-fold${folded ? "" : " open"}`} aria-label=${folded ? "Unfold" : "Fold"} onClick=${fold}><${Icon} name="right" /></button>` : html`<span class="wf-fold"></span>`}
      <span class="wf-kind" style=${{ background: `var(${look.color})` }} title=${look.label}></span>
      <span class=${`clip${failed ? " fail" : ""}`} title=${span.name}>${span.name || look.label}</span>
      ${(failed || (folded && row.failedBelow)) && html`<span class="mark-error" title=${failed ? "This span failed" : "A span below failed"}><${Icon} name="warn" /><span class="visually-hidden">error</span></span>`}
      ${row.skew && html`<span class="mark-skew" title="Outside its parent's time: the clocks of two machines differ"><${Icon} name="clock" /><span class="visually-hidden">clock skew</span></span>`}
    </div>
    <${Bar} row=${row} tree=${tree} color=${look.color} failed=${failed} />
    <div class="num wf-cost" title=${row.tokens === null ? "" : `${row.tokens} tokens`}>${row.cost === null ? (row.tokens === null ? "" : count(row.tokens)) : money(row.cost)}</div>
  </div>`;
}

/** @param {{ row: Row, tree: import("../trace-tree.js").Tree, color: string, failed: boolean }} props */
function Bar({ row, tree, color, failed }) {
  const length = tree.to - tree.from;
  const left = (100 * (row.start - tree.from)) / length;
  const width = (100 * (row.end - row.start)) / length;
  const first = row.span.data?.time_to_first_token_ms;
  const wait = first && row.span.duration_ms ? Math.min(1, first / row.span.duration_ms) * width : 0;
  const side = left + width < 84 ? "after" : left > 16 ? "before" : "inside";
  const place = { after: `${left + width}%`, before: `${left}%`, inside: `${left}%` }[side];
  return html`<div class="wf-lane">
    <div class=${`wf-bar${failed ? " failed" : ""}`} style=${{ left: `${left}%`, width: `${width}%`, background: `var(${color})` }}></div>
    ${wait > 0 && html`<div class="wf-first" title=${`First token after ${duration(first)}`} style=${{ left: `${left}%`, width: `${wait}%` }}></div>`}
    <span class=${`wf-time ${side}`} style=${{ left: place }}>${row.span.duration_ms === null ? "" : duration(row.span.duration_ms)}</span>
  </div>`;
}

/** @param {{ rows: Row[] }} props */
function Kinds({ rows }) {
  /** @type {Map<string, Set<string>>} */
  const found = new Map();
  for (const row of rows) {
    const { color, label } = kind(row.span.type);
    found.set(color, (found.get(color) ?? new Set()).add(label));
  }
  return html`<div class="wf-legend" aria-label="Types of spans">${[...found].map(([color, labels]) => html`<span key=${color}><i class="swatch" style=${{ background: `var(${color})` }}></i>${[...labels].join(", ")}</span>`)}</div>`;
}
