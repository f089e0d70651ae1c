// Where everything starts: the frame, the pages, the keys.
import { effect } from "@preact/signals";
import { render } from "preact";
import { Overview } from "./pages/overview.js";
import { Trace } from "./pages/trace.js";
import { Traces } from "./pages/traces.js";
import { go, keepFresh, link, live, now, rangeText, route, theme, toggleTheme } from "./state.js";
import { html } from "./ui/html.js";
import { Icon } from "./ui/icons.js";

const PAGES = [
  { key: "overview", label: "Overview", icon: "overview" },
  { key: "traces", label: "Traces", icon: "traces" },
];

function App() {
  const { page, id } = route.value;
  const current = page === "traces" ? (id ? html`<${Trace} key=${id} id=${id} />` : html`<${Traces} />`) : html`<${Overview} />`;
  return html`<div class="app"><${Rail} page=${page} /><div class="page">${current}</div></div>`;
}

/** @param {{ page: string }} props */
function Rail({ page }) {
  const dark = theme.value === "dark";
  return html`<nav class="rail" aria-label="Pages">
    <a class="brand" href=${link("overview")}><img src=${new URL("./icon.svg", import.meta.url).pathname} alt="" width="24" height="24" /><span class="label">LLM Analytics Hub</span></a>
    ${PAGES.map((one) => html`<a key=${one.key} class="rail-link" href=${link(one.key)} aria-current=${page === one.key ? "page" : undefined} title=${one.label}><${Icon} name=${one.icon} /><span class="label">${one.label}</span></a>`)}
    <span class="rail-space"></span>
    <a class="rail-link" href="/docs" title="API"><${Icon} name="api" /><span class="label">API</span></a>
    <button type="button" class="rail-link" onClick=${toggleTheme} data-theme-toggle title=${dark ? "Light theme (t)" : "Dark theme (t)"}><${Icon} name=${dark ? "sun" : "moon"} /><span class="label">${dark ? "Light" : "Dark"}</span></button>
    <form method="post" action="/sign-out"><button type="submit" class="rail-link" style=${{ width: "100%" }} title="Sign out"><${Icon} name="out" /><span class="label">Sign out</span></button></form>
  </nav>`;
}

/** Keys that work everywhere but in a field. @type {Record<string, () => void>} */
const KEYS = {
  t: toggleTheme,
  r: () => (now.value = Date.now()),
  p: () => (live.value = !live.value),
  "1": () => go("overview"),
  "2": () => go("traces"),
};

addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
  KEYS[event.key]?.();
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
effect(() => {
  rangeText.value;
  keepFresh();
});

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
root.textContent = "";
render(html`<${App} />`, root);
