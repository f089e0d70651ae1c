import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../../dashboard/static/format.js";

/** @param {(value: any) => string} shown @param {[any, string][]} cases */
function check(shown, cases) {
  for (const [value, text] of cases) assert.equal(shown(value), text, `of ${value}`);
}

test("counts have three digits and a unit", () => {
  check(format.count, [[0, "0"], [7, "7"], [999, "999"], [1000, "1k"], [1234, "1.23k"], [12_345, "12.3k"], [123_456, "123k"], [999_499, "999k"], [999_950, "1M"], [1_234_567, "1.23M"], [2.5e9, "2.5B"], [3e15, "3000T"], [0.125, "0.13"], [-1500, "-1.5k"], [null, "–"], [NaN, "–"], [undefined, "–"]]);
});

test("money is never a false zero", () => {
  check(format.money, [[0, "$0"], [0.0000000001, "<$0.000001"], [0.0000021, "$0.0000021"], [0.00123, "$0.00123"], [0.25, "$0.250"], [3.5, "$3.50"], [999.99, "$999.99"], [12_345, "$12.3k"], [-2, "−$2.00"], [null, "–"]]);
});

test("durations take the unit that fits", () => {
  check(format.duration, [[0, "0 ms"], [0.0005, "500 ns"], [0.25, "250 µs"], [1.234, "1.23 ms"], [12.34, "12.3 ms"], [999.4, "999 ms"], [999.9, "1 s"], [1840.2, "1.84 s"], [45_000, "45 s"], [59_999, "1 min 0 s"], [61_000, "1 min 1 s"], [3_660_000, "1 h 1 min"], [null, "–"]]);
});

test("shares, changes and rates", () => {
  check(format.percent, [[0, "0%"], [0.00001, "<0.01%"], [0.0042, "0.42%"], [0.031, "3.1%"], [1, "100%"], [null, "–"]]);
  assert.equal(format.change(110, 100), 0.1);
  assert.equal(format.change(1, 0), null);
  assert.equal(format.change(0, 0), 0);
  assert.equal(format.change(null, 3), null);
  check(format.delta, [[0.123, "+12%"], [-0.05, "−5%"], [0.0001, "0%"], [12, "+13×"], [null, "–"]]);
  check(format.rate, [[95.2, "95.2/s"], [null, "–"]]);
  assert.equal(format.exact(1234567.5), "1,234,567.5");
});

test("axes say no digits that say nothing", () => {
  check(format.onAxis(format.money), [[0, "$0"], [250, "$250"], [0.4, "$0.4"], [2.5, "$2.5"]]);
  check(format.onAxis(format.duration), [[0, "0"], [5000, "5 s"], [60_000, "1 min"], [80_000, "80 s"], [120_000, "2 min"], [3_660_000, "1 h 1 min"]]);
});

test("times", () => {
  const at = new Date(2026, 10, 20, 9, 5, 7, 42);
  assert.equal(format.clock(at), "09:05:07");
  assert.equal(format.clock(at, "m"), "09:05");
  assert.equal(format.clock(at, "ms"), "09:05:07.042");
  assert.equal(format.day(at), "20 Nov");
  assert.equal(format.moment(at, new Date(2026, 10, 20)), "09:05:07");
  assert.equal(format.moment(at, new Date(2026, 10, 21)), "20 Nov 09:05:07");
  assert.equal(format.span(at, new Date(2026, 10, 20, 10)), "20 Nov 09:05 – 10:00");
  assert.equal(format.span(at, new Date(2026, 10, 21, 10)), "20 Nov 09:05 – 21 Nov 10:00");
  check(format.ago, [[500, "now"], [5000, "5 s ago"], [125_000, "2 min ago"], [7.3e6, "2 h ago"], [2e8, "2 d ago"]]);
  check(format.shortId, [["", "–"], ["abc", "abc"], ["0123456789abcdef", "01234567…"]]);
});
