// The cells behind one field of the matrix, one for each seed.
import { numberText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine, plain } from "../../../base/plain.js";
import { Dialog } from "../../../parts/dialog.js";
import { Grid } from "../../../parts/grid.js";
import { TaskNumbers } from "../../../parts/task_link.js";
import { cellLink, columnText, rowText } from "./columns.js";

export function FieldCells({ opened, bench, run, onClose }) {
  const cells = bench.cells.filter((cell) => opened.field.cells.includes(cell.cell));
  const columns = [
    { name: "seed", title: "Seed", of: (cell) => html`<a href=${cellLink(run, cell.cell)} onClick=${onClose}>${oneLine(cell.seed ?? "–")}</a>` },
    { name: "score", title: oneLine(opened.column.metric), number: true, of: (cell) => numberText(cell.score) },
    { name: "status", title: "Status", of: (cell) => oneLine(cell.class || cell.status) },
    { name: "task", title: "Task", of: (cell) => cell.task && html`<${TaskNumbers} ids=${[cell.task]} />` },
    { name: "message", title: "", wrap: true, of: (cell) => plain(cell.message || "") },
  ];
  return html`<${Dialog} title=${`${rowText(opened.row)}: ${columnText(opened.column)}`} onClose=${onClose} wide>
    <${Grid} label="Cells" columns=${columns} rows=${cells} keyOf=${(cell) => cell.cell} />
  <//>`;
}
