// Trials over their objectives with the front, and all parameters with all objectives as parallel coordinates.
import { html } from "../../../base/html.js";
import { Choice } from "../../../parts/choice.js";
import { Panel } from "../../../parts/panel.js";
import { Parallel } from "../../../parts/parallel.js";
import { Scatter } from "../../../parts/scatter.js";
import { isMaximised, objectiveText, trialLink } from "./words.js";

export function TunePlots({ study, run, params, parallel = false }) {
  const measured = study.trials.filter((trial) => trial.values?.some((value) => value !== null && value !== undefined));
  if (parallel) return html`<${All} study=${study} trials=${measured} />`;
  const axes = axesOf(study);
  const y = axes.find((axis) => axis.name === params.get("y")) || axes[0];
  const x = axes.find((axis) => axis.name === params.get("x")) || axes.find((axis) => axis !== y);
  const points = measured.map((trial) => ({ ...pointOf(trial, study, run), x: x.of(trial), y: y.of(trial) }))
    .sort((one, other) => Number(one.open) - Number(other.open));
  const steps = axes.find((axis) => axis.name === "trial");
  const over = measured.map((trial) => ({ ...pointOf(trial, study, run), x: steps.of(trial), y: y.of(trial) }))
    .sort((one, other) => Number(one.open) - Number(other.open));
  return html`<div class="columns"><${Panel} title="Trials" note="hollow: misses a limit" end=${html`<span class="bar"><${Choice} name="y" words="up" all=${axes} now=${y.name} /><${Choice} name="x" words="across" all=${axes} now=${x.name} /></span>`}>
    <${Scatter} points=${points} x=${x} y=${y} front="all" />
  <//>
  <${Panel} title="As they came" note="from the first trial to the last"><${Scatter} points=${over} x=${steps} y=${y} front="none" /><//></div>`;
}

/** A trial as a point, without its place. */
function pointOf(trial, study, run) {
  const series = trial.feasible ? "meets every limit" : "misses a limit";
  const href = trialLink(run, trial.trial);
  return { name: `trial ${trial.trial}`, series, open: !trial.feasible, big: study.best?.trial === trial.trial, href };
}

/** The axes there are: objectives, then parameters that are numbers, then the order of trials. */
function axesOf(study) {
  return [
    ...study.objectives.map((objective, place) => ({ name: `o${place}`, title: objectiveText(objective), more: isMaximised(objective), of: (trial) => trial.values?.[place] ?? NaN })),
    { name: "trial", title: "trial", more: false, of: (trial) => trial.trial },
    ...study.parameters.filter((parameter) => parameter.kind !== "choice" || (parameter.values || []).every((value) => typeof value === "number"))
      .map((parameter) => ({ name: `p${parameter.name}`, title: parameter.name, more: false, of: (trial) => (typeof trial.params[parameter.name] === "number" ? trial.params[parameter.name] : NaN) })),
  ];
}

function All({ study, trials }) {
  const axes = [
    ...study.parameters.map((parameter) => ({ name: `p${parameter.name}`, title: parameter.name })),
    ...study.objectives.map((objective, place) => ({ name: `o${place}`, title: objectiveText(objective) })),
  ];
  const lines = trials.map((trial) => ({
    name: `trial ${trial.trial}`, best: study.best?.trial === trial.trial, missed: !trial.feasible,
    values: {
      ...Object.fromEntries(study.parameters.map((parameter) => [`p${parameter.name}`, trial.params[parameter.name] ?? null])),
      ...Object.fromEntries(study.objectives.map((_objective, place) => [`o${place}`, trial.values?.[place] ?? null])),
    },
  }));
  return html`<${Panel} title="Parameters and objectives" note="a line for each trial; thick: the best, dashed: misses a limit; press a name to colour by it"><${Parallel} axes=${axes} lines=${lines} /><//>`;
}
