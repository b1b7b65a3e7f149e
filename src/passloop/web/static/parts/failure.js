// Something could not be shown: what happened, how to mend it, and a button that tries again.
import { html } from "../base/html.js";
import { plain } from "../base/plain.js";

export function Failure({ error, again }) {
  return html`
    <div class="failure" role="alert">
      <p><strong>${plain(error.message)}</strong></p>
      ${error.hint && html`<p class="soft">${plain(error.hint)}</p>`}
      ${again && html`<button type="button" onClick=${again}>Try again</button>`}
    </div>
  `;
}
