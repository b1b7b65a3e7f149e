// One trial: its parameters, its command, what was measured at each load, how long each phase took, why it failed.
import { countText, numberText } from "../../../base/amounts.js";
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { oneLine, plain } from "../../../base/plain.js";
import { link } from "../../../base/route.js";
import { spanText } from "../../../base/times.js";
import { Command } from "../../../parts/command.js";
import { Grid } from "../../../parts/grid.js";
import { Loaded } from "../../../parts/loaded.js";
import { Panel } from "../../../parts/panel.js";
import { trialState, trialTone } from "./words.js";

export function Trial({ run, trial }) {
  const found = useLive(`/runs/${run.id}/tune/${encodeURIComponent(trial)}`, {}, { concerns: (event) => event === null || touches(event, "tasks"), pause: 1000 });
  return html`<${Loaded} of=${found} lines=${6}>${(data) => html`<${Body} trial=${data.trial && typeof data.trial === "object" ? data.trial : data} />`}<//>`;
}

function Body({ trial }) {
  const facts = [
    ["State", html`<span class=${`tag ${trialTone(trial)}`}>${trialState(trial)}</span>`],
    trial.phase && ["Phase", oneLine(trial.phase)], trial.message && ["Message", plain(trial.message)],
    ["Task", html`<a class="mono" href=${link(["tasks", String(trial.task)])}>${trial.task}</a>`],
    ...Object.entries(trial.params).map(([name, value]) => [oneLine(name), oneLine(value)]),
    ...(trial.violations || []).map((each) => ["Misses", html`<span class="odd">${plain(each.sentence || `${each.metric}: ${numberText(each.value)}`)}</span>`]),
    ...(trial.notes || []).map((note) => ["Note", plain(note)]),
  ].filter(Boolean);
  return html`
    <div class="head"><h2>Trial ${trial.trial}${trial.baseline ? " (baseline)" : ""}</h2></div>
    <div class="columns">
      <${Panel} title="Parameters"><dl class="facts">${facts.map(([name, value], place) => html`<dt key=${place}>${name}</dt><dd>${value}</dd>`)}</dl><//>
      <div>
        ${trial.argv?.length > 0 && html`<${Panel} title="Command"><${Command} words=${trial.argv} /><//>`}
        ${Object.keys(trial.spans || {}).length > 0 && html`<${Panel} title="Time"><dl class="facts">${Object.entries(trial.spans).map(([name, ms]) => html`<dt key=${name}>${oneLine(name)}</dt><dd>${spanText(ms)}</dd>`)}</dl><//>`}
      </div>
    </div>
    ${trial.lines?.length > 0 && html`<${Panel} title="Why it failed"><pre>${trial.lines.map(plain).join("\n")}</pre><//>`}
    ${trial.points?.length > 0 && html`<${Panel} title="Measured" note="ttft, tpot and e2e in ms; without a word, the mean" bare><${Grid} label="Measured" columns=${columnsOf(trial.points)} rows=${trial.points} keyOf=${(point) => point.name} /><//>`}
  `;
}

function columnsOf(points) {
  const found = new Map();
  for (const point of points) for (const [metric, stats] of Object.entries(point.metrics)) for (const stat of Object.keys(stats)) found.set(`${metric} ${stat}`, [metric, stat]);
  return [
    { name: "point", title: "Load", of: (point) => oneLine(point.name) },
    { name: "requests", title: "Requests", number: true, of: (point) => countText(point.requests) },
    { name: "errors", title: "Errors", number: true, of: (point) => countText(point.errors) },
    ...[...found.values()].map(([metric, stat]) => ({
      name: `${metric} ${stat}`, title: `${oneLine(metric.replaceAll("_", " "))}${stat === "mean" ? "" : ` ${stat}`}`, number: true, of: (point) => numberText(point.metrics[metric]?.[stat] ?? null),
    })),
    { name: "stopped", title: "", of: (point) => oneLine(point.stopped || (point.saturated ? "saturated" : "")) },
  ];
}
