// Latency percentiles of requests, or of their first token.
import { useMemo } from "preact/hooks";
import { useAnswer } from "../api.js";
import { duration } from "../format.js";
import { series } from "../questions.js";
import { granularity, range } from "../state.js";
import { lines, starts } from "../ui/buckets.js";
import { Chart } from "../ui/chart.js";
import { html } from "../ui/html.js";
import { Panel, seriesTable } from "../ui/panel.js";

/** Slowest first, as the lines lie. */
const LEVELS = ["p99", "p95", "p90", "p50"];

export function Latency() {
  const loaded = useAnswer(series.value);
  const x = starts(range.value.from, range.value.to, granularity.value.ms);
  const drawn = useMemo(() => {
    if (!loaded.data) return [];
    const values = lines(loaded.data, x, LEVELS.map((level) => `latency_${level}`));
    return LEVELS.map((level, at) => ({ name: level, label: level, color: `--${level}`, values: values[at] }));
  }, [loaded.data]);
  const empty = drawn.every((line) => line.values.every((value) => value == null));
  return html`<${Panel} name="latency" title="Latency" sum="percentiles of requests" loaded=${loaded} empty=${empty} table=${() => seriesTable(x, drawn, duration)}>
    <${Chart} title="Latency percentiles" x=${x} lines=${drawn} format=${duration} />
  </${Panel}>`;
}
