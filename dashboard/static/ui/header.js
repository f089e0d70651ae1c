// The bar above every page: what, when, live or paused.
import { live, now, range, rangeText, set, trouble, compare } from "../state.js";
import { span } from "../format.js";
import { custom, PRESETS } from "../ranges.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";

/** @param {{ title: any, comparable?: boolean, timed?: boolean, children?: any }} props */
export function Header({ title, comparable = false, timed = true, children }) {
  return html`<header class="topbar">${title}<span class="space"></span>${children}
    ${trouble.value && html`<span class="badge error" role="status"><${Icon} name="warn" />The hub does not answer</span>`}
    ${comparable && html`<button type="button" class="button" aria-pressed=${String(compare.value)} title="Compare with the period before" aria-label="Compare with the period before" onClick=${() => set({ compare: compare.value ? "0" : null })}><${Icon} name="compare" /><span class="wide">Compare</span></button>`}
    ${timed && html`<${RangePicker} /><${LiveSwitch} />`}
  </header>`;
}

function LiveSwitch() {
  const preset = PRESETS.some((candidate) => candidate.key === rangeText.value);
  const running = live.value && preset;
  const toggle = () => {
    if (!preset) set({ range: null });
    live.value = preset ? !live.value : true;
    if (live.value) now.value = Date.now();
  };
  return html`<button type="button" class="button" onClick=${toggle} aria-pressed=${String(running)} title=${running ? "Pause (p)" : "Go live (p)"} data-live=${running ? "on" : "off"}>
      <span class=${`live-dot${running ? "" : " off"}`}></span>${running ? "Live" : "Paused"}</button>
    <button type="button" class="button square" aria-label="Refresh" title="Refresh (r)" onClick=${() => (now.value = Date.now())}><${Icon} name="refresh" /></button>`;
}

function RangePicker() {
  const preset = PRESETS.find((candidate) => candidate.key === rangeText.value);
  const label = preset ? preset.label : span(new Date(range.value.from), new Date(range.value.end));
  return html`<${Menu} right title=${`Time range: ${label}`} label=${html`<${Icon} name="clock" /><span>${label}</span><${Icon} name="down" />`}>
    ${(/** @type {() => void} */ close) => html`
      ${PRESETS.map((one) => html`<button type="button" key=${one.key} class="menu-item" role="menuitemradio" aria-checked=${String(one === preset)} onClick=${() => (close(), set({ range: one.key }))}>${one.label}</button>`)}
      <${Custom} close=${close} />`}
  </${Menu}>`;
}

/** `datetime-local` speaks local time without an offset. @param {number} ms */
function local(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {{ close: () => void }} props */
function Custom({ close }) {
  const apply = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const [from, to] = ["from", "to"].map((name) => new Date(String(form.get(name))).getTime());
    if (!(from < to)) return;
    close();
    set({ range: custom(from, to) });
  };
  return html`<form class="range-custom" onSubmit=${apply}>
    <label>From<input class="field" type="datetime-local" name="from" required value=${local(range.peek().from)} /></label>
    <label>To<input class="field" type="datetime-local" name="to" required value=${local(range.peek().end)} /></label>
    <button type="submit" class="button primary">Apply</button></form>`;
}
