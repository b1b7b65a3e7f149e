// Scores as a heat map: each column from its worst to its best, the difference to dense under each, gaps as gaps.
import { differenceText, numberText, percentText } from "../../../base/amounts.js";
import { html, useState } from "../../../base/html.js";
import { go } from "../../../base/route.js";
import { spanText } from "../../../base/times.js";
import { Heat } from "../../../parts/heat.js";
import { Panel } from "../../../parts/panel.js";
import { ColumnHead, cellLink, columnText, rowText } from "./columns.js";
import { FieldCells } from "./field_cells.js";

export function ScoreMap({ bench, run }) {
  const [opened, setOpened] = useState(null);
  const bounds = bench.columns.map((_column, place) => boundsOf(bench.rows.map((row) => row.fields[place]?.value)));
  const open = (field, row, column) => () => (field.cells.length === 1 ? go(cellLink(run, field.cells[0])) : setOpened({ field, row, column }));
  const rows = bench.rows.map((row) => ({
    name: rowText(row),
    fields: [
      ...row.fields.map((field, place) => field && fieldOf(field, bench.columns[place], bounds[place], row, open)),
      { text: numberText(row.mean), title: "mean over all columns; only of rows without a gap" },
      { text: row.kept === null ? "–" : percentText(row.kept), title: "share of the cache that was kept" },
      { text: row.seconds === null ? "–" : spanText(row.seconds * 1000), title: "mean time of answering a cell" },
    ],
  }));
  const heads = [...bench.columns.map((column) => html`<${ColumnHead} column=${column} />`), "mean", "kept", "time"];
  return html`<${Panel} title="Scores" note="coloured from the worst to the best of each column; below each: the difference to dense">
    <${Heat} columns=${heads} rows=${rows} label="Scores" />
  <//>
  ${opened && html`<${FieldCells} opened=${opened} bench=${bench} run=${run} onClose=${() => setOpened(null)} />`}`;
}

function fieldOf(field, column, [low, high], row, open) {
  const title = [
    `${rowText(row)}, ${columnText(column)}`,
    field.low !== null && field.low !== undefined && `95 %: ${numberText(field.low)} to ${numberText(field.high)}`,
    `${field.done} of ${field.planned} seeds, ${field.samples} samples`,
    field.unlike,
    field.why,
  ].filter(Boolean).join("\n");
  if (field.value === null) return { text: "–", small: field.why.slice(0, 14), title, tone: null, open: field.cells?.length ? open(field, row, column) : undefined };
  const share = high > low ? (field.value - low) / (high - low) : 0.6;
  const against = field.difference === null || field.difference === undefined || row.dense ? "" : differenceText(field.difference);
  const part = field.done < field.planned ? ` ${field.done}/${field.planned}` : "";
  return { text: numberText(field.value), small: `${against}${part}`, title, tone: Math.min(0.999, column.lower_is_better ? 1 - share : share), open: open(field, row, column) };
}

function boundsOf(values) {
  const known = values.filter((value) => typeof value === "number");
  return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
}
