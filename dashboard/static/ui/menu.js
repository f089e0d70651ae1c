// A button that opens a menu: closes on Escape, on a click elsewhere, and when focus leaves.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";

/** @param {{ label: any, title: string, className?: string, right?: boolean, children: (close: () => void) => any }} props */
export function Menu({ label, title, className = "button", right = false, children }) {
  const [open, setOpen] = useState(false);
  const root = useRef(/** @type {HTMLDivElement | null} */ (null));
  const close = () => setOpen(false);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (/** @type {Event} */ event) => root.current && !root.current.contains(/** @type {Node} */ (event.target)) && close();
    addEventListener("pointerdown", outside);
    /** @type {HTMLElement | null | undefined} */ (root.current?.querySelector(".menu [autofocus], .menu .menu-item, .menu input"))?.focus();
    return () => removeEventListener("pointerdown", outside);
  }, [open]);
  return html`<div class="anchor" ref=${root} onKeyDown=${keys}>
    <button type="button" class=${className} aria-expanded=${String(open)} aria-haspopup="true" title=${title} aria-label=${title} onClick=${() => setOpen(!open)}>${label}</button>
    ${open && html`<div class=${`menu${right ? " right" : ""}`} role="group" aria-label=${title}>${children(close)}</div>`}
  </div>`;

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (!open) return;
    if (event.key === "Escape") {
      close();
      /** @type {HTMLElement | null} */ (root.current?.querySelector("button"))?.focus();
      event.stopPropagation();
    }
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!by) return;
    const items = /** @type {HTMLElement[]} */ ([...(root.current?.querySelectorAll(".menu input.field, .menu .menu-item") ?? [])]);
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    items[(at + by + items.length) % items.length]?.focus();
    event.preventDefault();
  }
}
