// Which colour is which series.
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";

export function SeriesLegend({ names, note }) {
  const named = names.filter(Boolean);
  if (!named.length && !note) return null;
  return html`<ul class="legend">
    ${names.map((name, place) => name && html`<li key=${name}><span class=${`swatch s${place % 8}`}></span>${oneLine(name)}</li>`)}
    ${note && html`<li>${note}</li>`}
  </ul>`;
}
