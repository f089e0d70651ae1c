import assert from "node:assert/strict";
import { test } from "node:test";
import { change, filters, filterText, parse, write } from "../../../dashboard/static/address.js";
import * as ranges from "../../../dashboard/static/ranges.js";
import { page, searchPath, isTraceId } from "../../../dashboard/static/trace-query.js";
import * as tree from "../../../dashboard/static/trace-tree.js";
import { groups, lines, stack, starts } from "../../../dashboard/static/ui/buckets.js";

test("an address survives being read and written", () => {
  for (const hash of ["#/overview", "#/traces/abc?range=1h", "#/overview?range=1h&model=a&model=b%2Cc"]) {
    const { page: name, id, params } = parse(hash);
    assert.equal(write(name, id, params), hash);
  }
  assert.equal(parse("").page, "overview");
  assert.equal(parse("#/traces/%E0%A4%A").id, "%E0%A4%A");
});

test("filters hold values with commas and ampersands", () => {
  const params = change(new URLSearchParams(), { model: ["a,b", "c&d"], range: "1h" });
  assert.deepEqual(filters(parse(write("overview", null, params)).params), [{ field: "model", op: "in", values: ["a,b", "c&d"] }]);
  assert.equal(change(params, { model: null }).toString(), "range=1h");
});

test("values with commas are quoted for GET", () => {
  assert.equal(filterText({ field: "model", op: "in", values: ["a", "b,c", 'd"e'] }), 'model:in:a,"b,c","d""e"');
});

test("ranges are presets or two moments", () => {
  const now = Date.UTC(2026, 10, 20, 12);
  assert.deepEqual(ranges.resolve("6h", now), { from: now - 6 * 3_600_000, to: now, key: "6h" });
  assert.deepEqual(ranges.resolve("100-200", now), { from: 100_000, to: 200_000, key: null });
  for (const bad of ["200-100", "x", "1-", "99999999999999-1"]) assert.equal(ranges.resolve(bad, now).key, "1h", bad);
  assert.equal(ranges.custom(1500, 2500), "1-3");
  assert.equal(ranges.custom(1000, 1000), "1-2");
  assert.deepEqual(ranges.before({ from: 50, to: 80 }), { from: 20, to: 50 });
});

test("a range covers whole steps and never leaves anything out", () => {
  const covered = ranges.covering({ from: 12_345, to: 98_765, key: null });
  assert.deepEqual(covered, { from: 10_000, to: 100_000, key: null, slack: 3580, end: 98_765 });
  assert.equal(ranges.covering({ from: 61_000, to: 7_300_000, key: null }).from, 60_000);
});

test("every preset has at most about a hundred buckets", () => {
  for (const preset of ranges.PRESETS) {
    const size = ranges.step(preset.ms);
    assert.ok(preset.ms / size.ms <= ranges.MAX_BUCKETS && preset.ms / size.ms >= 24, preset.key);
  }
  assert.equal(ranges.step(1e15).name, "7d");
});

const ANSWER = {
  columns: [{ name: "time", type: "time", unit: "" }, { name: "model", type: "string", unit: "" }, { name: "requests", type: "integer", unit: "" }],
  rows: [["1970-01-01T00:00:00Z", "a", 3], ["1970-01-01T00:00:10Z", "b", 5], ["1970-01-01T00:00:10Z", null, 1], ["1970-01-01T09:00:00Z", "b", 99]],
  meta: {},
};

test("buckets: empty ones are filled, what is outside is dropped", () => {
  const x = starts(1000, 25_000, 10_000);
  assert.deepEqual(x, [0, 10, 20]);
  assert.deepEqual(lines(ANSWER, x, ["requests", "nothing"], (name) => (name === "requests" ? 0 : null)), [[3, 1, 0], [null, null, null]]);
  assert.deepEqual(groups(ANSWER, x, "model", "requests", 7).map((line) => [line.name, line.sum]), [["b", 5], ["a", 3], ["(none)", 1]]);
});

test("the smallest groups become one", () => {
  const rows = Array.from({ length: 6 }, (_, at) => ["1970-01-01T00:00:00Z", `m${at}`, at + 1]);
  const found = groups({ ...ANSWER, rows }, [0], "model", "requests", 3);
  assert.deepEqual(found.map((line) => [line.name, line.sum]), [["m5", 6], ["m4", 5], ["m3", 4], ["3 others", 6]]);
});

test("stacks leave out what is hidden", () => {
  assert.deepEqual(stack([[1, 2], [null, 4], [5, 6]], [true, true, true]), [[1, 2], [1, 6], [6, 12]]);
  assert.deepEqual(stack([[1, 2], [3, 4]], [false, true]), [[null, null], [3, 4]]);
  assert.deepEqual(stack([], []), []);
});

/** @param {string} id @param {number} start @param {number} ms @param {any} [more] */
const span = (id, start, ms, more = {}) => ({ span_id: id, parent_span_id: null, name: id, type: "span", start: new Date(start).toISOString(), duration_ms: ms, status: "ok", cost_usd: null, data: {}, children: [], ...more });

test("a tree is laid out by start, with skew and errors marked", () => {
  const child = span("child", 2000, 500, { parent_span_id: "root", status: "error", type: "llm.request", data: { model: "m", input_tokens: 3, output_tokens: 4 } });
  const skewed = span("skewed", 900, 50, { parent_span_id: "root" });
  const { rows, from, to } = tree.layout([span("root", 1000, 2000, { children: [child, skewed] })]);
  assert.deepEqual(rows.map((row) => [row.span.span_id, row.depth, row.skew, row.failedBelow]), [["root", 0, false, true], ["skewed", 1, true, false], ["child", 1, false, false]]);
  assert.deepEqual([from, to], [900, 3000]);
  assert.deepEqual(tree.summary(rows), { spans: 3, errors: 1, tokens: 7, names: ["m"], skewed: 1 });
  assert.equal(tree.selfTime(rows[0], rows), 1500);
  assert.deepEqual(tree.visible(rows, new Set(["root"])).map((row) => row.span.span_id), ["root"]);
});

test("a span that is its own ancestor is drawn once", () => {
  const loop = span("loop", 0, 1);
  loop.children = /** @type {any} */ ([loop]);
  assert.equal(tree.layout([loop]).rows.length, 1);
  assert.deepEqual(tree.layout([]), { rows: [], from: 0, to: 1 });
});

test("microseconds count", () => {
  assert.ok(Math.abs(tree.instant("2026-11-20T12:00:00.123456Z") - tree.instant("2026-11-20T12:00:00.123Z") - 0.456) < 0.001);
  assert.deepEqual(tree.ticks(10, 5), [0, 2, 4, 6, 8]);
});

test("the search asks for what the address says", () => {
  const params = new URLSearchParams("model=a&model=b&status=error&min_ms=100&user_id=u-1&order=cost_usd:desc&span=x");
  const url = new URL(searchPath(params, { from: "F", to: "T" }, "c1"), "http://hub");
  assert.deepEqual(url.searchParams.getAll("filter"), ["model:in:a,b", "user_id:in:u-1"]);
  assert.deepEqual([url.searchParams.get("errors"), url.searchParams.get("min_duration_ms")], ["true", "100"]);
  assert.deepEqual([url.searchParams.get("order"), url.searchParams.get("cursor"), url.searchParams.get("from")], ["cost_usd:desc", "c1", "F"]);
  assert.ok(isTraceId("0123456789abcdef0123456789ABCDEF") && !isTraceId("0123"));
});

test("a page of traces has what the list shows", () => {
  const row = { trace_id: "t", start: "s", name: "", status: "ok", duration_ms: 1, spans: 2, errors: 0, input_tokens: 2, output_tokens: 3, cost_usd: null, user_id: "u", session_id: null };
  const { rows, cursor } = page({ traces: [row, { ...row, input_tokens: null, output_tokens: null }], cursor: "next" });
  assert.deepEqual([rows[0].name, rows[0].tokens, rows[0].models, rows[1].tokens, cursor], ["(no name)", 5, [], null, "next"]);
});

test("spans without an id of their own, or with one that came before, are told apart", () => {
  const { rows } = tree.layout([span("a", 0, 1, { span_id: null, id: "e1" }), span("b", 1, 1, { id: "e2" }), span("b", 2, 1, { id: "e3" }), span("c", 3, 1, { span_id: null })]);
  assert.deepEqual(rows.map((row) => row.key), ["e1", "b", "e3", "row-3"]);
});
