// A plain table. `columns` are `{name, title, of(row), number, wrap, grow, sort(row)}`; a column that can be sorted is by
// a click on its heading. On a phone a table that `folds` has a block for each row. For more rows than a page shows use
// the virtual list.
import { html, useMemo, useState } from "../base/html.js";

export function Grid({ columns, rows, keyOf = (row, place) => place, first = null, label, classOf, folds = false }) {
  const [order, setOrder] = useState(first);
  const sorted = useMemo(() => arranged(rows, columns, order), [rows, columns, order]);
  const turn = (name) => setOrder(order?.name === name ? { name, down: !order.down } : { name, down: false });
  const there = columns.filter(Boolean);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label || "table"}>
    <table class=${folds ? "grid folds" : "grid"}>
      <thead>
        <tr>${there.map((column) => html`<${Heading} column=${column} order=${order} turn=${turn} />`)}</tr>
      </thead>
      <tbody>
        ${sorted.map(
          (row, place) => html`<tr key=${keyOf(row, place)} class=${classOf?.(row)}>
            ${there.map((column) => html`<td class=${classes(column)} data-title=${column.title ?? column.name}>${column.of(row, place)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Heading({ column, order, turn }) {
  const active = order?.name === column.name;
  const direction = active ? (order.down ? "descending" : "ascending") : null;
  const arrow = active ? (order.down ? " ▾" : " ▴") : "";
  const title = column.title ?? column.name;
  return html`<th scope="col" class=${column.number ? "number" : ""} aria-sort=${direction}>
    ${column.sort
      ? html`<button class="sort" type="button" onClick=${() => turn(column.name)}>${title}${arrow}</button>`
      : title}
  </th>`;
}

const classes = (column) => ["number", "wrap", "grow", "mono"].filter((name) => column[name]).join(" ");

function arranged(rows, columns, order) {
  const column = order && columns.find((each) => each && each.name === order.name);
  if (!column?.sort) return rows;
  const sign = order.down ? -1 : 1;
  return rows.map((row, place) => ({ row, place, value: column.sort(row) }))
    .sort((one, other) => compared(one.value, other.value, sign) || one.place - other.place)
    .map((each) => each.row);
}

/** What is missing stands at the end, whichever way the rest is sorted. */
function compared(one, other, sign) {
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  if (missing(one) || missing(other)) return missing(one) - missing(other);
  if (typeof one === "number" && typeof other === "number") return sign * (one - other);
  return sign * String(one).localeCompare(String(other), undefined, { numeric: true });
}
