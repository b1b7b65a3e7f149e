// One cell of a matrix: what was measured, what it took, and each sample with its answer.
import { numberText } from "../../../base/amounts.js";
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { oneLine, plain } from "../../../base/plain.js";
import { link } from "../../../base/route.js";
import { spanText } from "../../../base/times.js";
import { Loaded } from "../../../parts/loaded.js";
import { Panel } from "../../../parts/panel.js";
import { Samples } from "./samples.js";

export function Cell({ run, cell, params }) {
  const found = useLive(`/runs/${run.id}/bench/${encodeURIComponent(cell)}`, {}, { concerns: (event) => event === null || touches(event, "tasks"), pause: 2000 });
  return html`<${Loaded} of=${found}>${(data) => html`<${Body} cell=${data.cell} />`}<//><${Samples} run=${run} cell=${cell} params=${params} />`;
}

function Body({ cell }) {
  const facts = [
    ["Model", oneLine(cell.model)], ["Sparse attention", oneLine(cell.sparse_attention)],
    ["Benchmark", oneLine([cell.benchmark, cell.subset].filter(Boolean).join(" / "))], cell.seed !== null && ["Seed", oneLine(cell.seed)],
    ["Status", oneLine(cell.class || cell.status)], cell.message && ["Message", plain(cell.message)],
    cell.task && ["Task", html`<a class="mono" href=${link(["tasks", String(cell.task)])}>${cell.task}</a>`],
    cell.path && ["Files in", html`<span class="mono">${oneLine(cell.path)}</span>`],
    ["Identity", html`<span class="mono">${oneLine(cell.cell)}</span>`],
  ].filter(Boolean);
  return html`<div class="columns">
    <${Panel} title="Cell"><dl class="facts">${facts.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${value}</dd>`)}</dl><//>
    <${Panel} title="Measured"><${Pairs} of=${cell.metrics} /><h3>Time</h3><${Pairs} of=${cell.millis} text=${spanText} /><h3>Use</h3><${Pairs} of=${cell.usage} /><//>
  </div>`;
}

function Pairs({ of, text = numberText }) {
  const pairs = Object.entries(of || {}).filter(([, value]) => value !== null);
  if (!pairs.length) return html`<p class="soft">nothing yet</p>`;
  return html`<dl class="facts">${pairs.map(([name, value]) => html`<dt key=${name}>${oneLine(name.replaceAll("_", " "))}</dt>
    <dd>${typeof value === "number" ? text(value) : plain(typeof value === "object" ? JSON.stringify(value) : value)}</dd>`)}</dl>`;
}
