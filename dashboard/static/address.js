// The address is the state: page, range and filters are all in the hash. Pure; tested under node.

/** @typedef {{ page: string, id: string | null, params: URLSearchParams }} Route */

export const FILTER_FIELDS = ["environment", "project", "model", "provider", "source"];

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, id = ""] = path.split("/", 2);
  return { page: page || "overview", id: id ? safeDecode(id) : null, params: new URLSearchParams(query) };
}

/** @param {string} text */
function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string} page @param {string | null} id @param {URLSearchParams} params */
export function write(page, id, params) {
  const query = params.toString();
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${query ? `?${query}` : ""}`;
}

/** Copies with some keys set, emptied or replaced by several. @param {URLSearchParams} params @param {Record<string, string | string[] | null>} changes */
export function change(params, changes) {
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(changes)) {
    next.delete(key);
    for (const one of value == null ? [] : Array.isArray(value) ? value : [value]) next.append(key, one);
  }
  return next;
}

/** The filters in the address, as a question holds them. @param {URLSearchParams} params @param {string[]} [fields] */
export function filters(params, fields = FILTER_FIELDS) {
  return fields.filter((field) => params.has(field)).map((field) => ({ field, op: "in", values: params.getAll(field) }));
}

/** A filter as GET endpoints take it: values with commas in double quotes. @param {{ field: string, op: string, values: string[] }} item */
export function filterText({ field, op, values }) {
  const quoted = values.map((value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value));
  return `${field}:${op}:${quoted.join(",")}`;
}
