// A bar of parts of a whole: `parts` are `{value, tone, title}`.
import { html } from "../base/html.js";

export function Meter({ parts, whole, label }) {
  let at = 0;
  return html`<svg class="meter" viewBox="0 0 1000 7" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${parts.map((part) => {
      const width = whole > 0 ? Math.min(1000 - at, (part.value / whole) * 1000) : 0;
      const x = at;
      at += width;
      return width > 0 && html`<rect class=${part.tone} x=${x} y="0" width=${width} height="7"><title>${part.title || ""}</title></rect>`;
    })}
  </svg>`;
}
