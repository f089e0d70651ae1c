// What the pages share: the route, the range, live or paused, the theme.
import { computed, signal } from "@preact/signals";
import { change, parse, write } from "./address.js";
import { covering, PRESETS, resolve, step } from "./ranges.js";

export const DEFAULT_RANGE = "1h";

export const route = signal(parse(location.hash));
export const now = signal(Date.now());
export const live = signal(true);
/** Set when the last request failed, so that the header can say so. @type {import("@preact/signals").Signal<boolean>} */
export const trouble = signal(false);

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
  now.value = Date.now();
});

/** @param {string} page @param {string | null} [id] @param {URLSearchParams} [params] */
export function go(page, id = null, params = route.value.params) {
  location.hash = write(page, id, params);
}

/** Change the address's parameters. Typing replaces the entry in the history; choosing makes one.
 * @param {Record<string, string | string[] | null>} changes @param {{ replace?: boolean }} [options] */
export function set(changes, { replace = false } = {}) {
  const { page, id, params } = route.value;
  const hash = write(page, id, change(params, changes));
  if (!replace) {
    location.hash = hash;
    return;
  }
  history.replaceState(null, "", hash);
  route.value = parse(hash);
}

/** A link to a page that keeps the range and the filters. @param {string} page @param {string | null} [id] */
export function link(page, id = null) {
  return write(page, id, route.value.params);
}

export const rangeText = computed(() => route.value.params.get("range") ?? DEFAULT_RANGE);
export const range = computed(() => covering(resolve(rangeText.value, now.value)));
export const granularity = computed(() => step(range.value.to - range.value.from - (range.value.key ? range.value.slack : 0)));
export const compare = computed(() => route.value.params.get("compare") !== "0");

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Ask again at the pace of the range, as long as somebody looks. */
export function keepFresh() {
  clearTimeout(timer);
  const preset = PRESETS.find((candidate) => candidate.key === rangeText.peek());
  timer = setTimeout(() => {
    if (live.peek() && preset && !document.hidden) now.value = Date.now();
    keepFresh();
  }, preset?.refresh ?? 30_000);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && live.peek()) now.value = Date.now();
});

const THEME_KEY = "llm-hub-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = signal(/** @type {string | undefined} */ (document.documentElement.dataset.theme));
const systemDark = signal(system.matches);
system.addEventListener("change", () => (systemDark.value = system.matches));

export const theme = computed(() => chosen.value ?? (systemDark.value ? "dark" : "light"));

export function toggleTheme() {
  chosen.value = theme.peek() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(THEME_KEY, chosen.value);
  } catch {
    // Storage may be refused: the choice then lasts as long as the page.
  }
}
