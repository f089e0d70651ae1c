// Which colour stands for what. A model keeps its colour on every panel and over every refresh.
import { theme } from "../state.js";

const SLOTS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8", "--c9", "--c10"];
export const MOST = SLOTS.length;

/** @type {Map<string, string>} */
const given = new Map();

/** The variable of a name: first come, first served, and kept as long as the page lives. @param {string} name */
export function slot(name) {
  const known = given.get(name);
  if (known) return known;
  const next = given.size < SLOTS.length ? SLOTS[given.size] : "--other";
  given.set(name, next);
  return next;
}

/** What a variable is worth in the theme of now; canvases cannot read variables. @param {string} variable */
export function ink(variable) {
  theme.value;
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}
