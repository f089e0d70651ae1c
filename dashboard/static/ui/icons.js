// Line icons, drawn here: nothing is fetched for them.
import { html } from "./html.js";

/** @type {Record<string, string>} */
const PATHS = {
  overview: "M2.5 13.5V9M6.2 13.5V5M9.8 13.5V7.5M13.5 13.5V2.5",
  traces: "M2.5 3.5h7M5 8h8.5M8 12.5h4",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.4v1.2M8 13.4v1.2M1.4 8h1.2M13.4 8h1.2M3.3 3.3l.9.9M11.8 11.8l.9.9M3.3 12.7l.9-.9M11.8 4.2l.9-.9",
  moon: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z",
  out: "M6.5 2.5h-4v11h4M7 8h6.5M11 5.5 13.5 8 11 10.5",
  clock: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2M8 4.8V8l2.2 1.4",
  down: "M4 6.2 8 10.2l4-4",
  right: "M6 3.8 10.2 8 6 12.2",
  up: "M4 9.8 8 5.8l4 4",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6l7.5-4.8z",
  refresh: "M13.2 8a5.2 5.2 0 1 1-1.6-3.8M13.4 2.2v3h-3",
  plus: "M8 3.5v9M3.5 8h9",
  close: "M4 4l8 8M12 4l-8 8",
  check: "M3.2 8.4l3.2 3.2 6.4-7",
  table: "M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6",
  chart: "M2.5 12.5 6 8l3 2.5 4.5-6",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.4 10.4l3.1 3.1",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  warn: "M8 2.2 14.4 13.4H1.6zM8 6.4v3.4M8 11.6v.1",
  back: "M9.8 3.8 5.6 8l4.2 4.2",
  compare: "M2.5 5.5h9M9 3l2.5 2.5L9 8M13.5 10.5h-9M7 8l-2.5 2.5L7 13",
  api: "M5 4 1.8 8 5 12M11 4l3.2 4L11 12",
};

/** @param {{ name: string }} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
