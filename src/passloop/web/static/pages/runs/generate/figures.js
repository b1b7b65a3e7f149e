// The dataset in figures: rows, calls a minute, tokens, cost.
import { countText, numberText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";

export function Figures({ dataset }) {
  const called = dataset.columns.filter((column) => column.model);
  const sum = (of) => called.reduce((total, column) => total + (of(column) || 0), 0);
  const figures = [
    ["rows", countText(dataset.rows)],
    ["columns", countText(dataset.columns.length)],
    ["answers last minute", countText(sum((column) => column.done_last_minute))],
    ["tokens in", countText(sum((column) => column.tokens?.input))],
    ["tokens out", countText(sum((column) => column.tokens?.output))],
    dataset.cost !== null && dataset.cost !== undefined && ["cost", numberText(dataset.cost)],
  ].filter(Boolean);
  return html`<section class="panel" aria-label="Figures"><div class="inside">
    <dl class="figures">${figures.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <p class="soft"><small>written to <span class="mono">${oneLine(dataset.out || "–")}</span></small></p>
  </div></section>`;
}
