// A table whose columns sort. Small: a page of rows, not thousands.
import { useState } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icons.js";

/** @typedef {{ name: string, label: string, format?: (value: any) => string, num?: boolean, bar?: boolean, cell?: (row: any) => any }} Column */

/** Nulls last, whichever way. Pure. @param {Record<string, any>[]} rows @param {string} name @param {boolean} descending */
export function sorted(rows, name, descending) {
  return [...rows].sort((a, b) => {
    const [left, right] = [a[name], b[name]];
    if (left == null || right == null) return left == null ? (right == null ? 0 : 1) : -1;
    const order = typeof left === "number" ? left - right : String(left).localeCompare(String(right));
    return descending ? -order : order;
  });
}

/** @param {{ columns: Column[], rows: Record<string, any>[], by: string, keyOf: (row: any) => string, caption: string }} props */
export function Table({ columns, rows, by, keyOf, caption }) {
  const [order, setOrder] = useState({ name: by, descending: true });
  const listed = sorted(rows, order.name, order.descending);
  const highest = Object.fromEntries(columns.filter((one) => one.bar).map((one) => [one.name, Math.max(...rows.map((row) => row[one.name] ?? 0), 0)]));
  return html`<div class="table-wrap"><table class="table">
    <caption class="visually-hidden">${caption}</caption>
    <thead><tr>${columns.map((one) => html`<${Head} key=${one.name} column=${one} order=${order} setOrder=${setOrder} />`)}</tr></thead>
    <tbody>${listed.map((row) => html`<tr key=${keyOf(row)}>${columns.map((one) => html`<${Cell} key=${one.name} column=${one} row=${row} highest=${highest[one.name]} />`)}</tr>`)}</tbody>
  </table></div>`;
}

/** @param {{ column: Column, order: { name: string, descending: boolean }, setOrder: (order: any) => void }} props */
export function Head({ column, order, setOrder }) {
  const active = order.name === column.name;
  const next = { name: column.name, descending: active ? !order.descending : Boolean(column.num) };
  return html`<th scope="col" class=${column.num ? "num" : ""} aria-sort=${active ? (order.descending ? "descending" : "ascending") : undefined}>
    <button type="button" class="th-sort" onClick=${() => setOrder(next)}>${column.label}${active && html`<${Icon} name=${order.descending ? "down" : "up"} />`}</button></th>`;
}

/** @param {{ column: Column, row: any, highest: number | undefined }} props */
function Cell({ column, row, highest }) {
  const value = row[column.name];
  const content = column.cell ? column.cell(row) : column.format ? column.format(value) : value;
  const wide = column.bar && highest ? `${(((value ?? 0) / highest) * 60).toFixed(1)}px` : "";
  return html`<td class=${`${column.num ? "num" : "name clip"}${column.bar ? " bar-cell" : ""}`}>${content}${wide && html`<i style=${{ width: wide }}></i>`}</td>`;
}
