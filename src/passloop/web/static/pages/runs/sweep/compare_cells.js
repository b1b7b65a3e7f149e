// Cells of a sweep side by side: means over their repeats, what is best in each row, and what sets them apart.
import { numberText } from "../../../base/amounts.js";
import { html, useState } from "../../../base/html.js";
import { Grid } from "../../../parts/grid.js";
import { Panel } from "../../../parts/panel.js";
import { TaskNumbers, paramsText } from "../../../parts/task_link.js";
import { metricTitle } from "./sweep_table.js";

const FIRST = 4;

export function CompareCells({ sweep }) {
  const ranked = rankedCells(sweep);
  const [chosen, setChosen] = useState(new Set(ranked.slice(0, FIRST).map((cell) => paramsText(cell.params))));
  const cells = ranked.filter((cell) => chosen.has(paramsText(cell.params)));
  const toggle = (name) => setChosen((old) => {
    const next = new Set(old);
    next.has(name) ? next.delete(name) : next.add(name);
    return next;
  });
  const rows = [
    ...sweep.axes.map((axis) => ({ name: axis, of: (cell) => cell.params[axis] })),
    ...sweep.metrics.map((metric) => ({ name: metricTitle(sweep, metric), metric, of: (cell) => cell.metrics[metric] })),
  ];
  const differing = rows.filter((row) => row.metric || new Set(cells.map((cell) => String(row.of(cell)))).size > 1);
  const columns = [
    { name: "name", title: "", of: (row) => html`<b>${row.name}</b>` },
    ...cells.map((cell, place) => ({ name: `cell ${place}`, title: html`<${TaskNumbers} ids=${cell.tasks} most=${3} />`, number: true, of: (row) => html`<${Value} row=${row} cell=${cell} cells=${cells} sweep=${sweep} />` })),
  ];
  return html`<${Panel} title="Cells" note="press those to compare">
    <div class="chips">${ranked.slice(0, 40).map((cell) => {
      const name = paramsText(cell.params);
      return html`<button key=${name} type="button" class="chip" aria-pressed=${String(chosen.has(name))} onClick=${() => toggle(name)}>${name || "all"}</button>`;
    })}</div>
  <//>
  <${Panel} title="Side by side" note="parameters that are the same are left out; means over repeats, ± standard deviation" bare>
    <${Grid} label="Comparison" columns=${columns} rows=${differing} keyOf=${(row) => row.name} />
  <//>`;
}

/** The cells, best first by the metric that ranks. */
export function rankedCells(sweep) {
  const metric = sweep.ranked_by;
  if (!metric) return sweep.cells;
  const sign = sweep.lower_is_better?.[metric] ? 1 : -1;
  const value = (cell) => cell.metrics[metric]?.mean ?? Infinity * sign;
  return [...sweep.cells].sort((one, other) => sign * (value(one) - value(other)) || 0);
}

function Value({ row, cell, cells, sweep }) {
  const value = row.of(cell);
  if (!row.metric) return numberText(value);
  if (!value) return html`<span class="soft">–</span>`;
  const means = cells.map((each) => each.metrics[row.metric]?.mean).filter((mean) => mean !== undefined);
  const lower = sweep.lower_is_better?.[row.metric];
  const best = lower !== undefined && cells.length > 1 && value.mean === (lower ? Math.min(...means) : Math.max(...means));
  return html`<span class=${best ? "good" : ""}>${best ? html`<b>${numberText(value.mean)}</b>` : numberText(value.mean)}</span>
    ${value.count > 1 && html` <small class="soft">± ${numberText(Number(value.deviation.toPrecision(2)))} of ${value.count}</small>`}`;
}
