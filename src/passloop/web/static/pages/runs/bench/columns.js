// What the columns of a matrix are called, and the addresses of its cells.
import { html } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";
import { link } from "../../../base/route.js";

/** A column in one line. */
export const columnText = (column) => `${oneLine(column.benchmark)}${column.subset ? ` / ${oneLine(column.subset)}` : ""}`;

/** A column as a heading: its benchmark, its subset, its metric and the way that is better. */
export function ColumnHead({ column }) {
  return html`${oneLine(column.benchmark)}<br /><span>${column.subset ? oneLine(column.subset) : ""}</span><br />
    <small>${oneLine(column.metric || "")} ${column.lower_is_better ? "↓" : "↑"}</small>`;
}

/** A row in one line. */
export const rowText = (row) => `${oneLine(row.model)} · ${oneLine(row.sparse_attention)}`;

/** The address of a cell. */
export const cellLink = (run, cell) => link(["runs", String(run.id), "cell", cell]);
