// A moment in the reader's zone; the whole of it, zone too, is told by its title.
import { html } from "../base/html.js";
import { millis, momentText, wholeText } from "../base/times.js";

export function Moment({ at }) {
  const ms = millis(at);
  if (ms === null || Number.isNaN(ms)) return html`<span class="soft">–</span>`;
  return html`<time datetime=${new Date(ms).toISOString()} title=${wholeText(ms)}>${momentText(ms)}</time>`;
}
