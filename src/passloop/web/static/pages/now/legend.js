// What the colours of bars and gaps mean: those that are seen, and always how an attempt ended.
import { html } from "../../base/html.js";

const BARS = [["busy", "running"], ["good", "succeeded"], ["bad", "failed"], ["odd", "timed out, out of memory, or mixed"], ["calm", "cancelled"]];

export function Legend({ data }) {
  const reasons = [...new Set(data.lanes.flatMap((lane) => lane.gaps.map((gap) => gap.reason)))];
  return html`<ul class="legend" aria-label="Legend">
    ${BARS.map(([tone, words]) => html`<li key=${tone}><${Swatch} of=${`bar-${tone}`} />${words}</li>`)}
    ${reasons.sort().map((reason) => html`<li key=${reason}><${Swatch} of=${`gap-${reason}`} />gap: ${data.reasons?.[reason] || reason}</li>`)}
    ${data.truncated && html`<li>older tasks are left out</li>`}
  </ul>`;
}

function Swatch({ of }) {
  return html`<svg class="swatch gap" viewBox="0 0 12 12" aria-hidden="true"><rect class=${of} width="12" height="12" rx="3" /></svg>`;
}
