// A row for each task: its parameters, its results, how it ended.
import { numberText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine, plain } from "../../../base/plain.js";
import { link } from "../../../base/route.js";
import { spanText } from "../../../base/times.js";
import { Grid } from "../../../parts/grid.js";
import { State } from "../../../parts/state.js";

export function SweepTable({ sweep }) {
  const columns = [
    { name: "task", title: "Task", of: (row) => html`<a class="mono" href=${link(["tasks", String(row.task)])}>${row.task}</a>`, sort: (row) => row.task },
    ...sweep.axes.map((axis) => ({ name: `axis ${axis}`, title: oneLine(axis), of: (row) => oneLine(row.params?.[axis] ?? ""), sort: (row) => row.params?.[axis] })),
    ...sweep.metrics.map((metric) => ({
      name: `metric ${metric}`, title: metricTitle(sweep, metric), number: true,
      of: (row) => numberText(row.results?.[metric] ?? null), sort: (row) => row.results?.[metric],
    })),
    { name: "took", title: "Took", number: true, of: (row) => spanText(row.millis), sort: (row) => row.millis },
    { name: "state", title: "State", of: (row) => html`<${State} of=${row.state} outcome=${row.outcome} />`, sort: (row) => row.state },
    { name: "message", title: "", grow: true, of: (row) => html`<span class="soft">${plain(row.message || "")}</span>` },
  ];
  const first = sweep.ranked_by ? { name: `metric ${sweep.ranked_by}`, down: !sweep.lower_is_better?.[sweep.ranked_by] } : null;
  return html`<${Grid} label="Results" columns=${columns} rows=${sweep.rows} keyOf=${(row) => row.task} first=${first} />`;
}

/** A metric with the way that is better. */
export function metricTitle(sweep, metric) {
  const lower = sweep.lower_is_better?.[metric];
  return `${oneLine(metric)}${lower === undefined ? "" : lower ? " ↓" : " ↑"}`;
}
