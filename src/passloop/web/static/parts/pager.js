// Goes from page to page of a list that the engine holds.
import { countText } from "../base/amounts.js";
import { html } from "../base/html.js";

export function Pager({ offset, page, total, go }) {
  if (total <= page && offset === 0) return null;
  const last = Math.min(total, offset + page);
  return html`<span class="bar">
    <button class="quiet round" type="button" aria-label="Page before" disabled=${offset <= 0} onClick=${() => go(Math.max(0, offset - page))}>‹</button>
    <span class="soft">${countText(offset + 1)} to ${countText(last)} of ${countText(total)}</span>
    <button class="quiet round" type="button" aria-label="Next page" disabled=${last >= total} onClick=${() => go(offset + page)}>›</button>
  </span>`;
}
