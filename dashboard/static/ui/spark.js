// A small line without axes, under a figure.
import { html } from "./html.js";

const WIDTH = 100;
const HEIGHT = 30;

/** The path of values from the bottom up; gaps break the line. Pure. @param {(number | null)[]} values @returns {string} */
export function path(values) {
  const high = Math.max(...values.map((value) => value ?? 0), 0);
  if (!high || values.length < 2) return "";
  let pen = "M";
  let text = "";
  values.forEach((value, at) => {
    if (value == null) {
      pen = "M";
      return;
    }
    text += `${pen}${((at / (values.length - 1)) * WIDTH).toFixed(1)} ${(HEIGHT - 2 - (value / high) * (HEIGHT - 5)).toFixed(1)}`;
    pen = "L";
  });
  return text;
}

/** @param {{ values: (number | null)[], bad?: boolean }} props */
export function Spark({ values, bad = false }) {
  const line = path(values);
  const whole = line && line.lastIndexOf("M") === 0 && values[0] != null && values[values.length - 1] != null;
  return html`<svg class=${`spark${bad ? " bad" : ""}`} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
    ${whole && html`<path class="area" d=${`${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />`}
    ${line && html`<path class="line" d=${line} />`}
  </svg>`;
}
