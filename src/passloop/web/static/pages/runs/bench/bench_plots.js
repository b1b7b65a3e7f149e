// What a method keeps of the quality for what it saves: a point for each model and configuration, and the front.
import { html } from "../../../base/html.js";
import { Choice } from "../../../parts/choice.js";
import { Panel } from "../../../parts/panel.js";
import { Scatter } from "../../../parts/scatter.js";
import { columnText } from "./columns.js";

const ACROSS = [
  { name: "kept", title: "share of the cache kept", of: (row) => row.kept },
  { name: "seconds", title: "time of answering (s)", of: (row) => row.seconds },
];

export function BenchPlots({ bench, params }) {
  const heights = [
    { name: "mean", title: "mean over all columns", of: (row) => row.mean, lower: bench.columns.every((column) => column.lower_is_better) },
    ...bench.columns.map((column, place) => ({
      name: String(place), title: `${columnText(column)}: ${column.metric}`, of: (row) => row.fields[place]?.value ?? null, lower: column.lower_is_better,
    })),
  ];
  const usual = heights.find((one) => bench.rows.some((row) => one.of(row) !== null)) || heights[0];
  const y = heights.find((one) => one.name === params.get("y")) || usual;
  const choice = html`<${Choice} name="y" words="quality by" all=${heights} now=${y.name} />`;
  return html`<${Panel} title="Quality against cost" note="least cost and best quality are best" end=${choice} bare>
    <div class="plots">${ACROSS.map((x) => html`<${Scatter} key=${x.name} points=${pointsOf(bench, x, y)} x=${{ title: x.title, more: false }} y=${{ title: y.title, more: !y.lower }} />`)}</div>
  <//>`;
}

function pointsOf(bench, x, y) {
  return bench.rows.filter((row) => x.of(row) !== null && y.of(row) !== null)
    .map((row) => ({ x: x.of(row), y: y.of(row), name: row.sparse_attention, series: row.model, big: row.dense }));
}
