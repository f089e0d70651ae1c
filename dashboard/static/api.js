// The public API, and nothing else: whoever can see a figure here can ask for it with curl.
import { useEffect, useRef, useState } from "preact/hooks";
import { trouble } from "./state.js";

/** @typedef {{ measures: string[], dimensions?: string[], granularity?: string, time: { from: string, to: string }, filters?: { field: string, op: string, values: string[] }[], order?: { field: string, direction: "asc" | "desc" }[], limit?: number }} Question */
/** @typedef {{ columns: { name: string, type: string, unit: string | null }[], rows: any[][], meta: Record<string, any> }} Answer */
/** @template T @typedef {{ data: T | null, error: Error | null, loading: boolean }} Loaded */

/** What the API answered that was not good; `message` is for the reader. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Another site's form or script cannot send this: the session's cookie alone opens nothing. */
const OWN = { "X-Requested-With": "llm-hub" };

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function request(path, options = {}) {
  const response = await fetch(path, { credentials: "same-origin", ...options, headers: { Accept: "application/json", ...OWN, ...options.headers } });
  if (response.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(`/${location.hash}`)}`);
    return new Promise(() => {});
  }
  if (!response.ok) throw new ApiError(response.status, await reason(response));
  return response.json();
}

/** @param {Response} response */
async function reason(response) {
  try {
    const problem = await response.json();
    return String(problem.detail ?? problem.title ?? response.statusText);
  } catch {
    return `The hub answered ${response.status}.`;
  }
}

/** @param {Question} question @param {AbortSignal} [signal] @returns {Promise<Answer>} */
export function query(question, signal) {
  return request("/v1/query", { method: "POST", body: JSON.stringify(question), headers: { "Content-Type": "application/json" }, signal });
}

/** Questions under way or just answered, so that two panels with one question ask once. @type {Map<string, Promise<any>>} */
const recent = new Map();
const KEPT = 48;

/** @template T @param {string} key @param {() => Promise<T>} load @returns {Promise<T>} */
function once(key, load) {
  const known = recent.get(key);
  if (known) return known;
  const promise = load();
  recent.set(key, promise);
  promise.catch(() => recent.delete(key));
  if (recent.size > KEPT) recent.delete(/** @type {string} */ (recent.keys().next().value));
  return promise;
}

/** Load and load again when the key changes; what was there stays until the new has come.
 * @template T @param {string | null} key @param {() => Promise<T>} load @returns {Loaded<T>} */
export function useLoaded(key, load) {
  const [state, setState] = useState(/** @type {Loaded<T>} */ ({ data: null, error: null, loading: key !== null }));
  const loader = useRef(load);
  loader.current = load;
  useEffect(() => {
    if (key === null) return undefined;
    let current = true;
    setState((old) => ({ ...old, loading: true }));
    once(key, () => loader.current()).then(
      (data) => {
        trouble.value = false;
        if (current) setState({ data, error: null, loading: false });
      },
      (error) => {
        trouble.value = !(error instanceof ApiError) || error.status >= 500;
        if (current) setState((old) => ({ ...old, error, loading: false }));
      },
    );
    return () => {
      current = false;
    };
  }, [key]);
  return state;
}

/** The answer to a question; `null` asks nothing. @param {Question | null} question @returns {Loaded<Answer>} */
export function useAnswer(question) {
  return useLoaded(question && JSON.stringify(question), () => query(/** @type {Question} */ (question)));
}

/** A column of an answer by name; nulls where there is no such column. @param {Answer} answer @param {string} name */
export function column(answer, name) {
  const at = answer.columns.findIndex((candidate) => candidate.name === name);
  return answer.rows.map((row) => (at < 0 ? null : row[at]));
}

/** Rows as objects. @param {Answer} answer @returns {Record<string, any>[]} */
export function records(answer) {
  return answer.rows.map((row) => Object.fromEntries(answer.columns.map((candidate, at) => [candidate.name, row[at]])));
}
