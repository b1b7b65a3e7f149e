// The best trial so far: what it reaches, what that gains, its command, and what of it differs from the baseline.
import { numberText, percentText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine, plain } from "../../../base/plain.js";
import { Command } from "../../../parts/command.js";
import { Empty } from "../../../parts/empty.js";
import { Panel } from "../../../parts/panel.js";
import { limitText, objectiveText, trialLink, trialState } from "./words.js";

export function Best({ study, run }) {
  const done = study.trials.filter((trial) => ["complete", "infeasible", "pruned", "failed"].includes(trialState(trial))).length;
  const note = `${done} of ${study.trials.length} trials measured${study.max_parallel ? ` · ${study.max_parallel.value} at once, ${study.max_parallel.fits} would fit` : ""}${study.stop ? ` · ${plain(study.stop)}` : ""}`;
  const { best } = study;
  return html`<${Panel} title="Best so far" note=${note}>
    ${best ? html`<${Found} best=${best} study=${study} run=${run} />` : html`<${Empty}>No trial has met every limit yet.<//>`}
    ${study.slo.length > 0 && html`<p class="soft"><small>Limits: ${study.slo.map(limitText).join("; ")}</small></p>`}
  <//>`;
}

function Found({ best, study, run }) {
  return html`
    <dl class="figures">
      <div><dt>trial</dt><dd><a href=${trialLink(run, best.trial)}>${best.trial}</a></dd></div>
      ${study.objectives.map((objective, place) => html`<div key=${place}><dt>${objectiveText(objective)}</dt>
        <dd>${numberText(best.values[place])}${gainText(best.gain?.[place]) && html` <small class="good">${gainText(best.gain[place])}</small>`}</dd></div>`)}
    </dl>
    <h3>Command</h3>
    <${Command} ...${best.command ? { text: best.command } : { words: best.argv }} />
    ${best.argv_diff?.length > 0 && html`<h3>Against the baseline</h3><p class="argv mono">${best.argv_diff.map(([kind, word]) => html`<${Word} kind=${kind} word=${word} />`)}</p>`}
  `;
}

function Word({ kind, word }) {
  if (kind === "+") return html`<ins>${oneLine(word)}</ins> `;
  if (kind === "-") return html`<del>${oneLine(word)}</del> `;
  return html`<span class="soft">${oneLine(word)}</span> `;
}

function gainText(gain) {
  const value = typeof gain === "object" && gain !== null ? gain.ratio ?? gain.value : gain;
  if (typeof value !== "number") return "";
  return `${percentText(Math.abs(value))} ${value >= 0 ? "better" : "worse"} than the baseline`;
}
