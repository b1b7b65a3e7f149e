// What was measured over a parameter or another metric, and all of it as parallel coordinates.
import { html } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";
import { link } from "../../../base/route.js";
import { Choice } from "../../../parts/choice.js";
import { Parallel } from "../../../parts/parallel.js";
import { Panel } from "../../../parts/panel.js";
import { Scatter } from "../../../parts/scatter.js";
import { paramsText } from "../../../parts/task_link.js";
import { rankedCells } from "./compare_cells.js";

export function SweepPlots({ sweep, params }) {
  const done = sweep.rows.filter((row) => row.results);
  const numeric = sweep.axes.filter((axis) => done.some((row) => typeof row.params?.[axis] === "number"));
  const measures = [...numeric.map((axis) => `axis ${axis}`), ...sweep.metrics.map((metric) => `metric ${metric}`), "took"];
  const y = chosen(params, "y", measures, `metric ${sweep.ranked_by || sweep.metrics[0]}`);
  const x = chosen(params, "x", measures, measures.find((each) => each !== y));
  const by = chosen(params, "by", ["", ...sweep.axes], sweep.axes.find((axis) => `axis ${axis}` !== x && axis !== "seed") || "");
  const points = done.map((row) => ({
    x: valueOf(row, x), y: valueOf(row, y), name: `${row.task} ${paramsText(row.params)}`,
    series: by ? `${by} = ${row.params?.[by]}` : "", href: link(["tasks", String(row.task)]),
  }));
  const more = (which) => which.startsWith("metric ") && !sweep.lower_is_better?.[which.slice(7)];
  return html`<div class="columns">
    <${Panel} title="Plot" end=${html`<span class="bar">
      <${Choice} name="y" words="up" all=${measures.map(named)} now=${y} /><${Choice} name="x" words="across" all=${measures.map(named)} now=${x} />
      <${Choice} name="by" words="colour" all=${["", ...sweep.axes].map(named)} now=${by} /></span>`}>
      <${Scatter} points=${points} x=${{ title: titleOf(x), more: more(x) }} y=${{ title: titleOf(y), more: more(y) }} front="none" />
    <//>
    <${Panel} title="All cells" note="press a name to colour by it">
      <${Parallel} axes=${axesOf(sweep)} lines=${linesOf(sweep)} />
    <//>
  </div>`;
}

const chosen = (params, name, all, usual) => (all.includes(params.get(name)) ? params.get(name) : usual);

const named = (which) => ({ name: which, title: titleOf(which) || "nothing" });

function titleOf(which) {
  if (which === "took") return "time it took (s)";
  return oneLine(which.replace(/^(axis|metric) /, ""));
}

function valueOf(row, which) {
  if (which === "took") return row.millis === null ? NaN : row.millis / 1000;
  const [kind, name] = which.split(/ (.*)/s);
  const value = (kind === "axis" ? row.params : row.results)?.[name];
  return typeof value === "number" ? value : NaN;
}

/** What sets the cells apart, then what was measured; repeats are one cell, so their number is no axis. */
function axesOf(sweep) {
  const set = sweep.axes.filter((axis) => sweep.cells.some((cell) => cell.params[axis] !== undefined));
  return [...set, ...sweep.metrics].map((name) => ({ name, title: name }));
}

function linesOf(sweep) {
  return rankedCells(sweep).filter((cell) => Object.keys(cell.metrics).length).slice(0, 500).map((cell, place) => ({
    name: paramsText(cell.params),
    values: { ...cell.params, ...Object.fromEntries(Object.entries(cell.metrics).map(([name, value]) => [name, value.mean])) },
    best: place === 0 && Boolean(sweep.ranked_by),
  }));
}
