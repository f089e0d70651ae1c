// Nothing here yet: how the first event comes in.
import { useState } from "preact/hooks";
import { set } from "../state.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";

const LINE = (/** @type {string} */ origin) => `curl ${origin}/v1/events \\
  -H "Authorization: Bearer $LLM_HUB_KEY" -H "Content-Type: application/json" \\
  -d '{"type": "llm.request", "source": "gateway", "time": "'$(date -u +%FT%TZ)'",
       "data": {"provider": "openai", "model": "gpt-4o", "input_tokens": 812, "output_tokens": 96,
                "duration_ms": 1840, "status": "ok"}}'`;

export function FirstEvent() {
  const [copied, setCopied] = useState(false);
  const text = LINE(location.origin);
  const copy = () => navigator.clipboard?.writeText(text).then(() => setCopied(true), () => {});
  return html`<section class="panel first" aria-label="No data yet">
    <h2>No requests in this range yet</h2>
    <p class="muted">Send your first event; it shows here within a second or two. The key is the one you signed in with, or any with the scope <code>ingest</code>.</p>
    <pre tabindex="0"><code>${text}</code></pre>
    <div style=${{ display: "flex", gap: "8px" }}><button type="button" class="button" onClick=${copy}><${Icon} name=${copied ? "check" : "copy"} />${copied ? "Copied" : "Copy"}</button>
      <button type="button" class="button" onClick=${() => set({ range: "7d" })}>Look at the last 7 days</button></div>
  </section>`;
}
