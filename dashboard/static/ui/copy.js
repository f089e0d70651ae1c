// An id that is copied by a click.
import { useState } from "preact/hooks";
import { shortId } from "../format.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";

const SHOWN_MS = 1200;

/** @param {{ text: string, label: string, whole?: boolean }} props */
export function Copy({ text, label, whole = false }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), SHOWN_MS);
  };
  return html`<button type="button" class="id" title=${`Copy ${label}: ${text}`} aria-label=${done ? "Copied" : `Copy ${label}`} onClick=${copy}><span class="clip">${whole ? text : shortId(text)}</span><${Icon} name=${done ? "check" : "copy"} /></button>`;
}
