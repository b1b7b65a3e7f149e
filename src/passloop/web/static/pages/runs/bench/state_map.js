// How far the matrix is: each field by the state of its cells.
import { html } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";
import { go, link } from "../../../base/route.js";
import { Heat } from "../../../parts/heat.js";
import { Panel } from "../../../parts/panel.js";
import { ColumnHead, cellLink, columnText, rowText } from "./columns.js";

const STATES = { done: "succeeded", failed: "failed", running: "running" };

export function StateMap({ bench, run }) {
  const byPlace = new Map();
  for (const cell of bench.cells) {
    const place = JSON.stringify([cell.model, cell.sparse_attention, cell.benchmark, cell.subset]);
    byPlace.set(place, [...(byPlace.get(place) || []), cell]);
  }
  const rows = bench.rows.map((row) => ({
    name: rowText(row),
    fields: bench.columns.map((column) => {
      const cells = byPlace.get(JSON.stringify([row.model, row.sparse_attention, column.benchmark, column.subset])) || [];
      return cells.length ? fieldOf(cells, row, column, run) : null;
    }),
  }));
  return html`<${Panel} title="State" note=${Object.entries(bench.counts).map(([state, count]) => `${count} ${oneLine(state)}`).join(", ")}>
    <${Heat} columns=${bench.columns.map((column) => html`<${ColumnHead} column=${column} />`)} rows=${rows} label="State of the cells" />
  <//>`;
}

function fieldOf(cells, row, column, run) {
  const words = cells.map((cell) => cell.class || cell.status);
  const worst = cells.find((cell) => cell.status === "failed") || cells.find((cell) => cell.status !== "done") || cells[0];
  const done = cells.filter((cell) => cell.status === "done").length;
  return {
    text: cells.length > 1 ? `${done} of ${cells.length}` : oneLine(words[0]),
    small: cells.length > 1 && done < cells.length ? oneLine(worst.class || worst.status) : "",
    state: STATES[worst.status] || "other",
    title: `${rowText(row)}, ${columnText(column)}\n${words.map(oneLine).join(", ")}\n${oneLine(worst.message || "")}`,
    open: () => go(worst.status === "done" || !worst.task ? cellLink(run, worst.cell) : link(["tasks", String(worst.task)])),
  };
}
