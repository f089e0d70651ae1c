// One chart: uPlot with a shared crosshair, a tooltip, a legend that switches series, and drag to zoom.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { clock, day, span } from "../format.js";
import { custom } from "../ranges.js";
import { granularity, range, set, theme } from "../state.js";
import { stack } from "./buckets.js";
import { html } from "./html.js";
import { options } from "./plot.js";

/** @typedef {{ name: string, label: string, color: string, values: (number | null)[] }} Line */
/** @typedef {{ title: string, x: number[], lines: Line[], bars?: boolean, format: (value: number | null) => string }} ChartProps */

/** @param {ChartProps} props */
export function Chart({ title, x, lines, bars = false, format }) {
  const holder = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const latest = useRef(/** @type {any} */ (null));
  const [hidden, setHidden] = useState(/** @type {Set<string>} */ (new Set()));
  const [spot, setSpot] = useState(/** @type {{ index: number, left: number, own: boolean } | null} */ (null));
  const shown = lines.map((line) => !hidden.has(line.name));
  const step = granularity.value.ms / 1000;
  const { from, to } = range.value;
  latest.current = { from: from / 1000, to: to / 1000, step, setSpot, format };

  const drawn = useMemo(() => {
    const series = lines.map((line) => line.values);
    return bars ? stack(series, shown).reverse() : series.map((values, at) => (shown[at] ? values : values.map(() => null)));
  }, [lines, bars, hidden]);
  const shape = `${theme.value} ${bars} ${lines.map((line) => `${line.name}=${line.color}`).join(" ")}`;

  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (holder.current);
    const order = bars ? [...lines].reverse() : lines;
    const made = new uPlot(options(element, order, bars, latest, zoom), [x, ...drawn], element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: element.clientHeight }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData([x, ...drawn]);
  }, [drawn, x, from, to]);

  const rows = spot ? lines.map((line, at) => ({ ...line, value: line.values[spot.index], on: shown[at] })) : [];
  const label = `${title}: chart of ${lines.map((line) => line.label).join(", ")}, ${span(new Date(from), new Date(to))}. Arrow keys read the values.`;
  return html`
    <div class="chart" ref=${holder} role="application" aria-label=${label} tabindex="0" onKeyDown=${(/** @type {KeyboardEvent} */ event) => move(event, plot.current, x)}
      onBlur=${() => setSpot(null)}>
      ${spot?.own && html`<${Tip} spot=${spot} rows=${rows} at=${x[spot.index]} step=${step} format=${format} width=${holder.current?.clientWidth ?? 400} stacked=${bars} />`}
    </div>
    ${lines.length > 1 && html`<${Legend} lines=${lines} hidden=${hidden} setHidden=${setHidden} />`}`;
}

/** @param {number} from @param {number} to epoch seconds */
function zoom(from, to) {
  set({ range: custom(from * 1000, to * 1000) });
}

/** Arrow keys move the crosshair, one bucket at a time. @param {KeyboardEvent} event @param {uPlot | null} plot @param {number[]} x */
function move(event, plot, x) {
  const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (!plot || !by) return;
  event.preventDefault();
  const next = Math.min(x.length - 1, Math.max(0, (plot.cursor.idx ?? (by > 0 ? -1 : x.length)) + by));
  const half = x.length > 1 ? (x[1] - x[0]) / 2 : 0;
  const rect = plot.over.getBoundingClientRect();
  const clientX = rect.left + plot.valToPos(x[next] + half, "x");
  plot.over.dispatchEvent(new MouseEvent("mouseenter", { clientX, clientY: rect.top + 20 }));
  plot.over.dispatchEvent(new MouseEvent("mousemove", { clientX, clientY: rect.top + 20 }));
}

/** @param {{ spot: { index: number, left: number }, rows: any[], at: number, step: number, format: (value: number | null) => string, width: number, stacked: boolean }} props */
function Tip({ spot, rows, at, step, format, width, stacked }) {
  const start = new Date(at * 1000);
  const end = new Date((at + step) * 1000);
  const precise = step < 60 ? "s" : "m";
  const right = spot.left > width / 2;
  const lit = rows.filter((row) => row.on && (!stacked || row.value));
  const listed = stacked ? [...lit].sort((a, b) => b.value - a.value) : lit;
  const total = stacked && lit.length > 1 ? lit.reduce((sum, row) => sum + row.value, 0) : null;
  return html`<div class="tip on" role="status" style=${right ? { left: "auto", right: `${width - spot.left + 12}px` } : { left: `${spot.left + 12}px` }}>
    <div class="tip-time">${step >= 86_400 ? day(start) : `${day(start)} ${clock(start, precise)} – ${clock(end, precise)}`}</div>
    ${listed.length === 0 && html`<div class="muted">nothing</div>`}
    ${listed.map((row) => html`<div class="tip-row" key=${row.name}><span class="swatch" style=${{ background: `var(${row.color})` }}></span><span class="clip">${row.label}</span><span class="num">${format(row.value)}</span></div>`)}
    ${total !== null && html`<div class="tip-row"><span></span><span class="muted">total</span><span class="num">${format(total)}</span></div>`}
  </div>`;
}

/** @param {{ lines: Line[], hidden: Set<string>, setHidden: (value: Set<string>) => void }} props */
function Legend({ lines, hidden, setHidden }) {
  /** @param {string} name @param {boolean} alone */
  const toggle = (name, alone) => {
    const others = lines.filter((line) => line.name !== name).map((line) => line.name);
    if (alone) return setHidden(others.every((other) => hidden.has(other)) && !hidden.has(name) ? new Set() : new Set(others));
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    return setHidden(next);
  };
  return html`<div class="legend">
    ${lines.map((line) => html`<button key=${line.name} type="button" aria-pressed=${String(!hidden.has(line.name))} title="Click hides or shows, double click shows it alone"
      onClick=${() => toggle(line.name, false)} onDblClick=${() => toggle(line.name, true)}><span class="swatch" style=${{ background: `var(${line.color})` }}></span><span class="clip">${line.label}</span></button>`)}
  </div>`;
}
