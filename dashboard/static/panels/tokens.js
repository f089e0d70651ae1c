// Tokens over time: input that was paid in full, input read from a cache, output.
import { useMemo } from "preact/hooks";
import { useAnswer } from "../api.js";
import { count, percent } from "../format.js";
import { series } from "../questions.js";
import { granularity, range } from "../state.js";
import { lines, starts } from "../ui/buckets.js";
import { Chart } from "../ui/chart.js";
import { html } from "../ui/html.js";
import { Panel, seriesTable } from "../ui/panel.js";

/** @param {number[]} values */
const total = (values) => values.reduce((sum, value) => sum + (value ?? 0), 0);

export function Tokens() {
  const loaded = useAnswer(series.value);
  const x = starts(range.value.from, range.value.to, granularity.value.ms);
  const drawn = useMemo(() => {
    if (!loaded.data) return [];
    const [input, cached, output] = lines(loaded.data, x, ["input_tokens", "cache_read_input_tokens", "output_tokens"], () => 0);
    // The input of the contract includes what was read from the cache: shown apart, so that nothing is drawn twice.
    return [
      { name: "input", label: "input", color: "--c1", values: input.map((value, at) => Math.max(0, value - (cached[at] ?? 0))) },
      { name: "cached", label: "input from cache", color: "--c7", values: cached },
      { name: "output", label: "output", color: "--c4", values: output },
    ];
  }, [loaded.data]);
  const [input, cached, output] = drawn.map((line) => total(line.values));
  const sum = loaded.data ? `${count(input + cached)} in, ${count(output)} out, ${percent(input + cached ? cached / (input + cached) : 0)} cached` : "";
  return html`<${Panel} name="tokens" title="Tokens" sum=${sum} loaded=${loaded} empty=${!input && !cached && !output} table=${() => seriesTable(x, drawn, count)}>
    <${Chart} title="Tokens" x=${x} lines=${drawn} bars format=${count} />
  </${Panel}>`;
}
