// Errors over time by their class.
import { useMemo } from "preact/hooks";
import { useAnswer } from "../api.js";
import { count } from "../format.js";
import { errorSeries } from "../questions.js";
import { granularity, range } from "../state.js";
import { groups, starts } from "../ui/buckets.js";
import { Chart } from "../ui/chart.js";
import { html } from "../ui/html.js";
import { Panel, seriesTable } from "../ui/panel.js";

const COLORS = ["--bad", "--c5", "--c4", "--c2", "--c6", "--c3"];

export function Errors() {
  const loaded = useAnswer(errorSeries.value);
  const x = starts(range.value.from, range.value.to, granularity.value.ms);
  const found = useMemo(() => (loaded.data ? groups(loaded.data, x, "error_class", "errors", COLORS.length) : []), [loaded.data]);
  const lines = useMemo(() => found.map((line, at) => ({ name: line.name, label: line.name, color: "rest" in line ? "--other" : COLORS[at], values: line.values })), [found]);
  const sum = found.reduce((total, line) => total + line.sum, 0);
  return html`<${Panel} name="errors" title="Errors by class" sum=${loaded.data ? `${count(sum)} errors` : ""} loaded=${loaded} empty=${sum === 0} emptyText="No errors in this range." table=${() => seriesTable(x, lines, count)}>
    <${Chart} title="Errors by class" x=${x} lines=${lines} bars format=${count} />
  </${Panel}>`;
}
