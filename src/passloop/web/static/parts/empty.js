// Nothing is there, and that is no mistake: says so, and what would put something there.
import { html } from "../base/html.js";

export function Empty({ children, command }) {
  return html`<div class="empty">
    <p>${children}</p>
    ${command && html`<p><code>${command}</code></p>`}
  </div>`;
}
