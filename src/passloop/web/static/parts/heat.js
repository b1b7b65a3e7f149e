// A table whose fields are coloured by a value between worst and best, or by a state. Fields with more to show are
// buttons.
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";

/** `rows` are `{name, group, fields: [{text, small, tone: 0..1 | null, state, title, open}]}`, `columns` are words. */
export function Heat({ columns, rows, label }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table class="heat">
      <thead><tr><th></th>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
      <tbody>
        ${rows.map((row) => html`<tr key=${row.name}>
          <th scope="row">${oneLine(row.name)}</th>
          ${row.fields.map((field) => html`<${Field} field=${field} />`)}
        </tr>`)}
      </tbody>
    </table>
  </div>`;
}

function Field({ field }) {
  if (!field) return html`<td><button type="button" disabled>–</button></td>`;
  const tone = field.state ? `state-${field.state}` : field.tone === null || field.tone === undefined ? "" : `h${Math.min(5, Math.floor(field.tone * 6))}`;
  return html`<td class=${tone}>
    <button type="button" title=${field.title} disabled=${!field.open} onClick=${field.open}>${field.text}${field.small && html`<small>${field.small}</small>`}</button>
  </td>`;
}
