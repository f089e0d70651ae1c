// Requests over time, by status or by model.
import { useMemo, useState } from "preact/hooks";
import { useAnswer } from "../api.js";
import { count } from "../format.js";
import { modelSeries, series } from "../questions.js";
import { granularity, range } from "../state.js";
import { groups, lines, starts } from "../ui/buckets.js";
import { Chart } from "../ui/chart.js";
import { html } from "../ui/html.js";
import { MOST, slot } from "../ui/palette.js";
import { Panel, seriesTable } from "../ui/panel.js";

export function Traffic() {
  const [by, setBy] = useState("status");
  const status = useAnswer(series.value);
  const models = useAnswer(by === "model" ? modelSeries.value : null);
  const loaded = by === "model" ? models : status;
  const x = starts(range.value.from, range.value.to, granularity.value.ms);
  const drawn = useMemo(() => (loaded.data ? (by === "model" ? byModel(loaded.data, x) : byStatus(loaded.data, x)) : []), [loaded.data, by]);
  const sum = drawn.reduce((total, line) => total + line.values.reduce((/** @type {number} */ a, b) => a + (b ?? 0), 0), 0);
  const actions = html`<span class="switch" role="group" aria-label="Stack by">
    ${["status", "model"].map((key) => html`<button type="button" key=${key} aria-pressed=${String(by === key)} onClick=${() => setBy(key)}>${key}</button>`)}</span>`;
  return html`<${Panel} name="traffic" title="Traffic" sum=${loaded.data ? `${count(sum)} requests` : ""} loaded=${loaded} empty=${sum === 0} actions=${actions} table=${() => seriesTable(x, drawn, count)}>
    <${Chart} title="Traffic" x=${x} lines=${drawn} bars format=${count} />
  </${Panel}>`;
}

/** @param {import("../api.js").Answer} answer @param {number[]} x */
function byStatus(answer, x) {
  const [all, failed] = lines(answer, x, ["requests", "errors"], () => 0);
  return [
    { name: "ok", label: "ok", color: "--c1", values: all.map((value, at) => Math.max(0, value - failed[at])) },
    { name: "error", label: "error", color: "--bad", values: failed },
  ];
}

/** @param {import("../api.js").Answer} answer @param {number[]} x */
function byModel(answer, x) {
  return groups(answer, x, "model", "requests", MOST).map((line) => ({ name: line.name, label: line.name, color: "rest" in line ? "--other" : slot(line.name), values: line.values }));
}
