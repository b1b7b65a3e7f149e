// What each trial does under growing load, with the limits as lines: the best and the baseline in strong colours.
import { html, useState } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";
import { Empty } from "../../../parts/empty.js";
import { Lines } from "../../../parts/lines.js";
import { Panel } from "../../../parts/panel.js";

const MOST = 8;
const UNITS = { ttft: "ms", tpot: "ms", e2e: "ms", error_rate: "share", attainment: "share" };

export function LoadCurves({ study }) {
  const trials = study.trials.filter((trial) => trial.points?.length);
  const usual = [study.best?.trial, ...trials.filter((trial) => trial.baseline).map((trial) => trial.trial), ...trials.map((trial) => trial.trial)];
  const [chosen, setChosen] = useState(null);
  const shown = chosen || [...new Set(usual.filter((each) => each !== undefined))].slice(0, 4);
  if (!trials.length) return html`<section class="panel"><${Empty}>No trial was put under load yet.<//></section>`;
  const toggle = (trial) => setChosen(shown.includes(trial) ? shown.filter((each) => each !== trial) : [...shown, trial].slice(-MOST));
  return html`<${Panel} title="Trials" note=${`at most ${MOST} at once`}>
      <div class="chips">${trials.map((trial) => html`<button key=${trial.trial} class="chip" type="button" aria-pressed=${String(shown.includes(trial.trial))} onClick=${() => toggle(trial.trial)}>
        ${trial.trial}${trial.baseline ? " baseline" : ""}${study.best?.trial === trial.trial ? " ★" : ""}</button>`)}</div>
    <//>
    <${Panel} title="Under load" bare><div class="plots">
      ${metricsOf(study, trials).map(([metric, stat]) => html`<${Lines} key=${metric + stat} title=${titleOf(metric, stat)} x=${acrossOf(trials)} y=${titleOf(metric, stat)}
        series=${shown.map((number) => seriesOf(trials.find((trial) => trial.trial === number), metric, stat, study)).filter(Boolean)}
        limits=${limitsOf(study, metric, stat)} />`)}
    </div><//>`;
}

const unitOf = (metric) => UNITS[metric] || (metric.includes("per_second") ? "1/s" : "");
const titleOf = (metric, stat) => `${oneLine(metric.replaceAll("_", " "))}${stat === "mean" ? "" : ` ${stat}`}${unitOf(metric) ? ` (${unitOf(metric)})` : ""}`;
const acrossOf = (trials) => (trials[0].points[0].concurrency !== null && trials[0].points[0].concurrency !== undefined ? "requests in flight" : "requests per second");

/** What objectives and limits speak of, as far as some trial measured it. */
function metricsOf(study, trials) {
  const wanted = new Map([...study.objectives, ...study.slo].map((each) => [`${each.metric} ${each.stat || "mean"}`, [each.metric, each.stat || "mean"]]));
  const measured = ([metric, stat]) => trials.some((trial) => trial.points.some((point) => point.metrics[metric]?.[stat] !== undefined));
  return [...wanted.values()].filter(measured);
}

function seriesOf(trial, metric, stat, study) {
  const points = (trial?.points || []).map((point) => ({ x: point.concurrency ?? point.rate, y: point.metrics[metric]?.[stat] }))
    .filter((point) => Number.isFinite(point.y)).sort((one, other) => one.x - other.x);
  if (!points.length) return null;
  return { name: `trial ${trial.trial}${trial.baseline ? " (baseline)" : ""}`, points, strong: study.best?.trial === trial.trial };
}

function limitsOf(study, metric, stat) {
  return study.slo.filter((slo) => slo.metric === metric && (slo.stat || "mean") === stat)
    .map((slo) => ({ on: "y", value: slo.most ?? slo.least, words: slo.most !== null && slo.most !== undefined ? "at most" : "at least" }));
}
