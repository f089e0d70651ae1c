// A trace's tree as rows to draw. Pure; tested under node.

/** @typedef {{ span_id: string | null, parent_span_id: string | null, name: string, type: string, start: string, duration_ms: number | null, status: string | null, cost_usd: number | null, data: Record<string, any>, id?: string, children: Span[] }} Span */
/** @typedef {{ key: string, parent: Row | null, span: Span, depth: number, start: number, end: number, kids: number, skew: boolean, tokens: number | null, cost: number | null, failedBelow: boolean }} Row */
/** @typedef {{ rows: Row[], from: number, to: number }} Tree */

/** Clocks of two machines differ by some; what is within this is not called skew. */
export const SKEW_MS = 2;

/** Epoch milliseconds with microseconds kept: `Date.parse` stops at milliseconds. @param {string} text */
export function instant(text) {
  const whole = Date.parse(text);
  const digits = /\.\d{3}(\d{1,6})/.exec(text)?.[1];
  return digits ? whole + Number(`0.${digits}`) : whole;
}

/** All rows in the order of the tree, children by their start; spans that name each other as parents are taken once.
 * @param {Span[]} spans @returns {Tree} */
export function layout(spans) {
  /** @type {Row[]} */
  const rows = [];
  const seen = new Set();
  // Not every span has an id, and a span that was sent twice has the same one.
  const keys = new Set();
  /** @param {Span} span @param {number} depth @param {Row | null} parent @returns {Row | null} */
  const visit = (span, depth, parent) => {
    if (seen.has(span)) return null;
    seen.add(span);
    const key = keys.has(span.span_id) || !span.span_id ? (span.id ?? `row-${rows.length}`) : span.span_id;
    keys.add(key);
    const start = instant(span.start);
    const end = start + Math.max(0, span.duration_ms ?? 0);
    const skew = parent !== null && (start < parent.start - SKEW_MS || end > parent.end + SKEW_MS);
    /** @type {Row} */
    const row = { key, parent, span, depth, start, end, kids: span.children?.length ?? 0, skew, tokens: ownTokens(span), cost: span.cost_usd ?? null, failedBelow: false };
    rows.push(row);
    for (const child of byStart(span.children ?? [])) {
      const below = visit(child, depth + 1, row);
      if (below) row.failedBelow ||= below.failedBelow || child.status === "error";
    }
    return row;
  };
  for (const span of byStart(spans)) visit(span, 0, null);
  const from = rows.reduce((low, row) => Math.min(low, row.start), Infinity);
  const to = rows.reduce((high, row) => Math.max(high, row.end), -Infinity);
  return { rows, from: Number.isFinite(from) ? from : 0, to: Number.isFinite(to) ? Math.max(to, from + 0.001) : 1 };
}

/** @param {Span[]} spans */
function byStart(spans) {
  return [...spans].sort((a, b) => instant(a.start) - instant(b.start));
}

/** @param {Span} span */
export function ownTokens(span) {
  const { input_tokens: input, output_tokens: output } = span.data ?? {};
  return input == null && output == null ? null : (input ?? 0) + (output ?? 0);
}

/** Without the rows below what is folded. @param {Row[]} rows @param {Set<string>} folded keys of rows */
export function visible(rows, folded) {
  /** @type {Row[]} */
  const kept = [];
  let under = Infinity;
  for (const row of rows) {
    if (row.depth > under) continue;
    under = folded.has(row.key) ? row.depth : Infinity;
    kept.push(row);
  }
  return kept;
}

/** What a whole trace came to. Tokens of agents are left out: they repeat those of the models below. @param {Row[]} rows */
export function summary(rows) {
  const models = rows.filter((row) => row.span.type.startsWith("llm."));
  return {
    spans: rows.length,
    errors: rows.filter((row) => row.span.status === "error").length,
    tokens: models.reduce((sum, row) => sum + (row.tokens ?? 0), 0),
    names: [...new Set(models.map((row) => String(row.span.data?.model ?? row.span.name)))],
    skewed: rows.filter((row) => row.skew).length,
  };
}

/** Time of a span in which none of its children ran. @param {Row} row @param {Row[]} rows */
export function selfTime(row, rows) {
  const parts = rows
    .filter((other) => other.parent === row)
    .map((other) => [Math.max(other.start, row.start), Math.min(other.end, row.end)])
    .filter(([from, to]) => to > from)
    .sort((a, b) => a[0] - b[0]);
  let covered = 0;
  let reached = row.start;
  for (const [from, to] of parts) {
    covered += Math.max(0, to - Math.max(from, reached));
    reached = Math.max(reached, to);
  }
  return row.end - row.start - covered;
}

/** Round times along the axis, about as many as wanted. @param {number} length ms @param {number} wanted */
export function ticks(length, wanted) {
  const rough = length / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const found = [];
  for (let at = 0; at <= length * 0.97; at += size) found.push(at);
  return found;
}
