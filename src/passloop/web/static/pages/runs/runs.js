// Comes next.
import { html } from "../../base/html.js";

export function Page() {
  return html`<h1>Comes next</h1>`;
}
