// What was spent at which endpoint: tokens and their cost, of the last day and in all.
import { countText, numberText } from "../../base/amounts.js";
import { touches } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine } from "../../base/plain.js";
import { Grid } from "../../parts/grid.js";
import { Panel } from "../../parts/panel.js";

export function Spend() {
  const found = useLive("/spend", {}, { concerns: (event) => event === null || touches(event, "tasks"), pause: 10_000 });
  const models = found.data?.models ?? [];
  if (!models.length) return null;
  const total = (of) => models.reduce((sum, row) => sum + (of(row) || 0), 0);
  const priced = models.some((row) => row.cost !== null);
  const note = priced ? `at the prices that datasets name: last 24 hours ${costText(total((row) => row.lately.cost))}, in all ${costText(total((row) => row.cost))}` : "no dataset names a price";
  return html`<${Panel} title="Tokens and cost" note=${note} bare>
    <${Grid} folds label="Tokens and cost by model" columns=${COLUMNS} rows=${models} keyOf=${(row) => row.pool} />
  <//>`;
}

const costText = (cost) => (cost === null ? "–" : numberText(cost));

const number = (name, title, of, text) => ({ name, title, number: true, sort: of, of: (row) => text(of(row)) });

const COLUMNS = [
  { name: "model", title: "Model", sort: (row) => row.model, of: (row) => oneLine(row.model) },
  { name: "endpoint", title: "Endpoint", grow: true, sort: (row) => row.endpoint, of: (row) => html`<span class="soft">${oneLine(row.endpoint)}</span>` },
  number("in lately", "In, 24 h", (row) => row.lately.input, countText),
  number("out lately", "Out, 24 h", (row) => row.lately.output, countText),
  number("cost lately", "Cost, 24 h", (row) => row.lately.cost, costText),
  number("in", "Tokens in", (row) => row.tokens.input, countText),
  number("out", "Tokens out", (row) => row.tokens.output, countText),
  number("cost", "Cost in all", (row) => row.cost, costText),
];
