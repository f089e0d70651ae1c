// Answers with a time column, turned into what a chart draws. Pure; tested under node.

/** @typedef {import("../api.js").Answer} Answer */
/** @typedef {{ x: number[], rows: Map<string, (number | null)[]> }} Buckets */

/** Every bucket start of a range, in epoch seconds. @param {number} from @param {number} to @param {number} step all in ms */
export function starts(from, to, step) {
  const x = [];
  for (let at = Math.floor(from / step) * step; at < to; at += step) x.push(at / 1000);
  return x;
}

/** One line per measure. @param {Answer} answer @param {number[]} x @param {string[]} names @param {(name: string) => number | null} [gap] what an empty bucket holds */
export function lines(answer, x, names, gap = () => null) {
  const place = new Map(x.map((at, index) => [at, index]));
  return names.map((name) => {
    const values = new Array(x.length).fill(gap(name));
    const at = answer.columns.findIndex((candidate) => candidate.name === name);
    for (const row of answer.rows) {
      const index = place.get(Date.parse(row[0]) / 1000);
      if (index !== undefined && at > 0) values[index] = row[at];
    }
    return values;
  });
}

/** One line per value of a dimension, the largest first, the rest summed as `null` key.
 * @param {Answer} answer @param {number[]} x @param {string} dimension @param {string} measure @param {number} most */
export function groups(answer, x, dimension, measure, most) {
  const place = new Map(x.map((at, index) => [at, index]));
  const [key, value] = [dimension, measure].map((name) => answer.columns.findIndex((candidate) => candidate.name === name));
  /** @type {Map<string, { values: number[], sum: number }>} */
  const found = new Map();
  for (const row of answer.rows) {
    const index = place.get(Date.parse(row[0]) / 1000);
    if (index === undefined || !row[value]) continue;
    const name = row[key] == null || row[key] === "" ? "(none)" : String(row[key]);
    const line = found.get(name) ?? { values: new Array(x.length).fill(0), sum: 0 };
    line.values[index] += row[value];
    line.sum += row[value];
    found.set(name, line);
  }
  const ranked = [...found].map(([name, line]) => ({ name, ...line })).sort((a, b) => b.sum - a.sum || a.name.localeCompare(b.name));
  if (ranked.length <= most + 1) return ranked;
  const rest = ranked.slice(most);
  const other = { name: `${rest.length} others`, rest: true, sum: 0, values: new Array(x.length).fill(0) };
  for (const line of rest) {
    other.sum += line.sum;
    line.values.forEach((amount, index) => (other.values[index] += amount));
  }
  return [...ranked.slice(0, most), other];
}

/** Running sums from the first series up; nulls count as nothing. @param {(number | null)[][]} series @param {boolean[]} shown */
export function stack(series, shown) {
  const sums = new Array(series[0]?.length ?? 0).fill(0);
  return series.map((values, at) => (shown[at] ? values.map((value, index) => (sums[index] += value ?? 0)) : values.map(() => null)));
}
