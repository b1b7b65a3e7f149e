// Each column with its model, how far it is, what it used and what that cost.
import { countText, numberText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";
import { Grid } from "../../../parts/grid.js";
import { Panel } from "../../../parts/panel.js";
import { progress } from "./graph.js";

export function Columns({ dataset }) {
  const columns = [
    { name: "name", title: "Column", of: (one) => html`<b>${oneLine(one.name)}</b>` },
    { name: "kind", title: "Kind", of: (one) => one.kind },
    { name: "model", title: "Model", of: (one) => oneLine(one.model || "–") },
    { name: "endpoint", title: "Endpoint", of: (one) => html`<span class="mono">${oneLine(one.endpoint || "–")}</span>` },
    { name: "needs", title: "After", wrap: true, of: (one) => one.needs.map(oneLine).join(", ") || "–" },
    { name: "done", title: "Done", number: true, of: (one) => (one.model || progress(one, 0).whole ? countText(progress(one, dataset.rows).done) : "–") },
    { name: "failed", title: "Failed", number: true, of: (one) => (one.model || progress(one, 0).whole ? html`<span class=${progress(one, 0).failed ? "bad" : ""}>${countText(progress(one, 0).failed)}</span>` : "–") },
    { name: "rate", title: "Last minute", number: true, of: (one) => (one.model ? countText(one.done_last_minute) : "–") },
    { name: "in", title: "Tokens in", number: true, of: (one) => (one.model ? countText(one.tokens?.input) : "–") },
    { name: "out", title: "Tokens out", number: true, of: (one) => (one.model ? countText(one.tokens?.output) : "–") },
    { name: "cost", title: "Cost", number: true, of: (one) => (one.model ? numberText(one.cost) : "–") },
  ];
  return html`<${Panel} title="Columns" bare><${Grid} label="Columns" columns=${columns} rows=${dataset.columns} keyOf=${(one) => one.name} /><//>`;
}
