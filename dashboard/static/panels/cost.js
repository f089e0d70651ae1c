// Cost over time, by model.
import { useMemo } from "preact/hooks";
import { useAnswer } from "../api.js";
import { money } from "../format.js";
import { modelSeries } from "../questions.js";
import { granularity, range } from "../state.js";
import { groups, starts } from "../ui/buckets.js";
import { Chart } from "../ui/chart.js";
import { html } from "../ui/html.js";
import { MOST, slot } from "../ui/palette.js";
import { Panel, seriesTable } from "../ui/panel.js";

export function Cost() {
  const loaded = useAnswer(modelSeries.value);
  const x = starts(range.value.from, range.value.to, granularity.value.ms);
  const found = useMemo(() => (loaded.data ? groups(loaded.data, x, "model", "cost_usd", MOST) : []), [loaded.data]);
  const lines = useMemo(() => found.map((line) => ({ name: line.name, label: line.name, color: "rest" in line ? "--other" : slot(line.name), values: line.values })), [found]);
  const sum = found.reduce((total, line) => total + line.sum, 0);
  return html`<${Panel} name="cost" title="Cost by model" sum=${loaded.data ? money(sum) : ""} loaded=${loaded} empty=${sum === 0} emptyText="Nothing with a price in this range." table=${() => seriesTable(x, lines, money)}>
    <${Chart} title="Cost by model" x=${x} lines=${lines} bars format=${money} />
  </${Panel}>`;
}
