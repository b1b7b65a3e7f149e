// From a call to the row of its dataset, where the prompt and the answer stand.
import { html } from "../../base/html.js";
import { link } from "../../base/route.js";

export function WholeRow({ task }) {
  const row = task.params?.row;
  return Number.isInteger(row) && html`<a href=${link(["runs", String(task.run.id), "row", String(row)])}>prompt and answer</a>`;
}
