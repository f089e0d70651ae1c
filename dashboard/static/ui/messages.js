// Contents of prompts and answers, always as text: nothing of them is ever read as HTML.
import { html } from "./html.js";

/** Messages in whichever form they came: a list of role and content, parts, or plain text. Pure. @param {any} value @returns {{ role: string, text: string }[]} */
export function messages(value) {
  const parsed = typeof value === "string" ? parse(value) : value;
  if (parsed == null || parsed === "") return [];
  if (!Array.isArray(parsed)) return [{ role: parsed.role ?? "", text: textOf(parsed.content ?? parsed.parts ?? parsed) }];
  return parsed.map((one) => (one && typeof one === "object" ? { role: String(one.role ?? ""), text: textOf(one.content ?? one.parts ?? one.text ?? one) } : { role: "", text: textOf(one) }));
}

/** @param {string} text */
function parse(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {any} content @returns {string} */
export function textOf(content) {
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map((part) => textOf(part?.text ?? part?.content ?? part)).join("\n");
  return JSON.stringify(content, null, 2) ?? "";
}

/** @param {{ title: string, value: any }} props */
export function Messages({ title, value }) {
  const listed = messages(value);
  if (!listed.length) return null;
  return html`<section aria-label=${title}><h3>${title}</h3>
    ${listed.map((one, at) => html`<div key=${at} class=${`message ${one.role === "assistant" ? "assistant" : ""}`}>${one.role && html`<header>${one.role}</header>`}<pre tabindex="0">${one.text}</pre></div>`)}
  </section>`;
}
