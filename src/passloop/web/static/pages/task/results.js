// What a task left as its results: each name with its value; what is nested is shown as it is.
import { numberText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { oneLine, plain } from "../../base/plain.js";
import { Panel } from "../../parts/panel.js";

export function Results({ task, end }) {
  if (!task.results) return null;
  const rows = Object.entries(task.results);
  if (!rows.length) return null;
  return html`<${Panel} title="Results" end=${end}>
    <dl class="facts">
      ${rows.map(([name, value]) => html`<dt key=${name}>${oneLine(name)}</dt><dd><${Value} of=${value} /></dd>`)}
    </dl>
  <//>`;
}

/** A value of any kind, as text. */
export function Value({ of }) {
  if (of === null || of === undefined) return html`<span class="soft">none</span>`;
  if (typeof of === "number") return html`<span title=${String(of)}>${numberText(of)}</span>`;
  if (typeof of === "object") return html`<code class="wrap">${plain(JSON.stringify(of))}</code>`;
  return plain(of);
}
