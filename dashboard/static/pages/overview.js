// The overview: what is happening now.
import { column, useAnswer } from "../api.js";
import { PANELS } from "../panels/index.js";
import { Tiles, Unpriced } from "../panels/tiles.js";
import { byModel, totals } from "../questions.js";
import { FILTER_FIELDS } from "../address.js";
import { route } from "../state.js";
import { Filters } from "../ui/filters.js";
import { FirstEvent } from "../ui/first-event.js";
import { Header } from "../ui/header.js";
import { html } from "../ui/html.js";

export function Overview() {
  const all = useAnswer(totals.value);
  const models = useAnswer(byModel.value);
  const filtered = FILTER_FIELDS.some((field) => route.value.params.has(field));
  const nothing = all.data !== null && !filtered && !column(all.data, "requests")[0];
  return html`<${Header} title=${html`<h1>Overview</h1>`} comparable />
    <main class="content" id="main" tabindex="-1">
      <${Filters} />
      ${nothing ? html`<${FirstEvent} />` : html`<${Tiles} /><${Unpriced} answer=${models.data} />
        <div class="grid">${PANELS.map((Panel) => html`<${Panel} key=${Panel.name} />`)}</div>`}
    </main>`;
}
