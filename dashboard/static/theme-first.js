// Runs before the first paint, so that a stored theme never flashes the other one.
"use strict";
try {
  const chosen = localStorage.getItem("llm-hub-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be refused; the system's preference then holds.
}
