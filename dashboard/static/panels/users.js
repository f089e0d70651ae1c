// Who costs most.
import { records, useAnswer } from "../api.js";
import { count, money, percent } from "../format.js";
import { byUser } from "../questions.js";
import { go, route } from "../state.js";
import { change } from "../address.js";
import { html } from "../ui/html.js";
import { Panel } from "../ui/panel.js";
import { Table } from "../ui/table.js";

/** @param {string} user */
const open = (user) => go("traces", null, change(route.value.params, { user_id: user }));

const COLUMNS = [
  { name: "user_id", label: "User", cell: (/** @type {any} */ row) => html`<span class="name-cell"><button type="button" class="clip" title=${`Traces of ${row.user_id}`} onClick=${() => open(row.user_id)}>${row.user_id || "(none)"}</button></span>` },
  { name: "cost_usd", label: "Cost", num: true, bar: true, format: money },
  { name: "requests", label: "Requests", num: true, format: count },
  { name: "total_tokens", label: "Tokens", num: true, format: count },
  { name: "error_rate", label: "Errors", num: true, format: percent },
];

export function Users() {
  const loaded = useAnswer(byUser.value);
  const rows = loaded.data ? records(loaded.data) : [];
  return html`<${Panel} name="users" title="Top users" sum="by cost" loaded=${loaded} empty=${rows.length === 0}>
    <${Table} columns=${COLUMNS} rows=${rows} by="cost_usd" keyOf=${(/** @type {any} */ row) => String(row.user_id)} caption="Top users by cost" />
  </${Panel}>`;
}
