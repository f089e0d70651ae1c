// uPlot's options in our look.
import uPlot from "uplot";
import { clock, count, day, duration, onAxis } from "../format.js";
import { ink } from "./palette.js";

/** Counts have no halves. */
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** power)).flat();
/** Milliseconds, and whole minutes and hours above them. */
const TIMES = [...Array.from({ length: 7 }, (_, power) => [1, 2, 5].map((factor) => factor * 10 ** (power - 2))).flat().filter((size) => size < 60_000), ...[1, 2, 5, 10, 20, 30, 60, 120, 300, 720, 1440].map((minutes) => minutes * 60_000)];
const FONT = '11px Inter, system-ui, sans-serif';

/** @param {HTMLElement} element @param {{ name: string, label: string, color: string }[]} lines in drawing order
 * @param {boolean} bars @param {{ current: any }} latest what changes between redraws @param {(from: number, to: number) => void} zoom */
export function options(element, lines, bars, latest, zoom) {
  const grid = { stroke: ink("--grid"), width: 1 };
  const axis = { stroke: ink("--text-3"), font: FONT, ticks: { show: false } };
  return {
    width: element.clientWidth || 300,
    height: element.clientHeight || 168,
    padding: [10, 18, 0, 0],
    legend: { show: false },
    cursor: {
      x: true,
      y: false,
      points: { show: !bars, size: 6 },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      dataIdx: (/** @type {uPlot} */ plot, /** @type {number} */ _series, /** @type {number} */ nearest, /** @type {number} */ at) => floorIndex(plot, nearest, at, latest.current.step),
      sync: { key: "pages", setSeries: false, filters: { pub: (/** @type {string} */ type) => type === "mousemove" || type === "mouseleave" } },
    },
    scales: {
      x: { time: true, range: () => [latest.current.from, latest.current.to] },
      y: { range: (/** @type {uPlot} */ _plot, /** @type {number} */ _low, /** @type {number} */ high) => [0, high > 0 ? high * 1.08 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 24, gap: 4, space: 64, values: (/** @type {uPlot} */ _plot, /** @type {number[]} */ ticks) => timeTicks(ticks) },
      { ...axis, grid, size: 54, gap: 6, space: 30, values: (/** @type {uPlot} */ _plot, /** @type {number[]} */ ticks) => ticks.map(onAxis(latest.current.format)), ...steps(latest.current.format) },
    ],
    series: [{}, ...lines.map((line) => series(line, bars))],
    hooks: {
      draw: [(/** @type {uPlot} */ plot) => fadeEdges(plot, latest.current)],
      setSelect: [(/** @type {uPlot} */ plot) => select(plot, zoom)],
      setCursor: [(/** @type {uPlot} */ plot) => spot(plot, latest.current.setSpot)],
    },
  };
}

/** Where an axis may be divided, in its own unit. @param {Function} format */
function steps(format) {
  if (format === count) return { incrs: WHOLE };
  return format === duration ? { incrs: TIMES } : {};
}

/** @param {{ label: string, color: string }} line @param {boolean} bars */
function series(line, bars) {
  const color = ink(line.color);
  if (!bars) return { label: line.label, stroke: color, width: 1.6, points: { show: false }, spanGaps: false };
  return { label: line.label, fill: color, stroke: color, width: 0, points: { show: false }, paths: uPlot.paths.bars?.({ size: [0.82, 40], align: 1 }) };
}

/** The bucket that holds the pointer, not the one whose start is nearest. @param {uPlot} plot @param {number} nearest @param {number} at @param {number} step */
function floorIndex(plot, nearest, at, step) {
  const x = plot.data[0];
  if (!x?.length) return nearest;
  return Math.max(0, Math.min(x.length - 1, Math.floor((at - x[0]) / step)));
}

/** The first and last bucket are seldom whole: shown paler, so that they do not look like a fall.
 * @param {uPlot} plot @param {{ from: number, to: number, step: number }} latest */
function fadeEdges(plot, { to, step }) {
  const x = plot.data[0];
  const last = x[x.length - 1];
  if (last === undefined || last + step <= to) return;
  const { ctx, bbox } = plot;
  const left = Math.max(bbox.left, plot.valToPos(last, "x", true));
  ctx.save();
  ctx.globalAlpha = 0.6;
  ctx.fillStyle = ink("--panel");
  ctx.fillRect(left, bbox.top, bbox.left + bbox.width - left, bbox.height);
  ctx.restore();
}

/** @param {uPlot} plot @param {(from: number, to: number) => void} zoom */
function select(plot, zoom) {
  const { left, width } = plot.select;
  if (width < 6) return;
  const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  zoom(from, to);
}

/** @param {uPlot} plot @param {(value: any) => void} setSpot */
function spot(plot, setSpot) {
  const { idx, left = -1 } = plot.cursor;
  const own = plot.root.matches(":hover") || plot.root.parentElement === document.activeElement;
  setSpot(own && idx != null && left >= 0 ? { index: idx, left: left + plot.bbox.left / devicePixelRatio, own } : null);
}

/** Clock times, and the day where it turns. @param {number[]} ticks */
function timeTicks(ticks) {
  const apart = ticks.length > 1 ? ticks[1] - ticks[0] : 3600;
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    const midnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
    if (apart >= 86_400 || midnight) return day(at);
    return clock(at, apart < 60 ? "s" : "m");
  });
}
