// A framed part of a page with its heading, a note beside it, and what belongs at its right end.
import { html } from "../base/html.js";

export function Panel({ title, note, end, children, bare = false, label }) {
  return html`<section class="panel" aria-label=${label || title}>
    ${title && html`<header>
      <h2>${title}</h2>
      ${note && html`<span class="note">${note}</span>`}
      ${end && html`<span class="push">${end}</span>`}
    </header>`}
    ${bare ? children : html`<div class="inside">${children}</div>`}
  </section>`;
}
