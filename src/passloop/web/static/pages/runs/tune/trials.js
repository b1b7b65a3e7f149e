// Every trial: its parameters, what it reached, whether it meets the limits, and where it is while it runs.
import { numberText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine, plain } from "../../../base/plain.js";
import { Grid } from "../../../parts/grid.js";
import { Lasting } from "../../../parts/lasting.js";
import { Panel } from "../../../parts/panel.js";
import { Empty } from "../../../parts/empty.js";
import { isMaximised, objectiveText, trialLink, trialState, trialTone } from "./words.js";

export function Trials({ study, run }) {
  const varied = study.parameters.map((parameter) => parameter.name);
  const onFront = new Set(study.front || []);
  const columns = [
    { name: "trial", title: "Trial", of: (trial) => html`<a class="mono" href=${trialLink(run, trial.trial)}>${trial.trial}</a>${trial.baseline ? " baseline" : ""}${study.best?.trial === trial.trial ? " ★" : ""}`, sort: (trial) => trial.trial },
    { name: "state", title: "State", of: (trial) => html`<span class=${`tag ${trialTone(trial)}`}>${trialState(trial)}</span>${trial.phase ? html` <small class="soft">${oneLine(trial.phase)}</small>` : ""}`, sort: trialState },
    ...study.objectives.map((objective, place) => ({
      name: `objective ${place}`, title: html`<${ObjectiveHead} of=${objective} />`, number: true,
      of: (trial) => html`<span class=${onFront.has(trial.trial) ? "good" : ""}>${numberText(trial.values?.[place] ?? null)}</span>`, sort: (trial) => trial.values?.[place],
    })),
    ...varied.map((name) => ({ name: `parameter ${name}`, title: oneLine(name), of: (trial) => oneLine(trial.params[name] ?? "–"), sort: (trial) => trial.params[name] })),
    { name: "took", title: "Took", number: true, of: (trial) => html`<${Lasting} from=${trial.started_at} to=${trial.started_at ? trial.ended_at : null} />` },
    { name: "why", title: "", grow: true, of: (trial) => html`<span class="soft" title=${plain(saidOf(trial))}>${plain(saidOf(trial))}</span>` },
  ];
  if (!study.trials.length) return html`<section class="panel"><${Empty}>No trial was asked for yet.<//></section>`;
  return html`<${Panel} bare label="Trials"><${Grid} label="Trials" columns=${columns} rows=${study.trials} keyOf=${(trial) => trial.trial} classOf=${(trial) => (study.best?.trial === trial.trial ? "picked" : "")} /><//>`;
}

function ObjectiveHead({ of: objective }) {
  const [first, rest] = objectiveText(objective).split(/ (?=at )(.*)/s);
  return html`${first} ${isMaximised(objective) ? "↑" : "↓"}${rest && html`<br /><small>${rest}</small>`}`;
}

function saidOf(trial) {
  const violations = (trial.violations || []).map((each) => each.sentence || `${each.metric} ${numberText(each.value)}`);
  return violations[0] || trial.message || "";
}
