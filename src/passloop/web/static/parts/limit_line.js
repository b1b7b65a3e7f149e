// How many calls a pool let be under way over time, as steps, and when it was closed. It shares its axis with the bars above it.
import { countText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { ticks } from "../base/scales.js";
import { millis, wholeText } from "../base/times.js";

const HEIGHT = 84;
const TOP = 8;
const BOTTOM = 6;
const CLOSED = { cooling: ["gap-cooling", "closed after refusals"], half_open: ["gap-blocked", "tried with one call"], dead: ["gap-dead", "dead"] };

/** `limits` are `{at, gate, most}` in order, `across` is from ms to a place, `until` ends the last; `box` is that of the bars. */
export function LimitLine({ limits, across, until, box, pool }) {
  const top = Math.max(...limits.map((step) => step.most || 0), 1) * 1.1;
  const spans = limits.map((step, place) => ({ ...step, from: millis(step.at), to: millis(limits[place + 1]?.at ?? until) }));
  const closed = spans.filter((span) => CLOSED[span.gate]);
  if (!closed.length && spans.every((span) => !span.most)) return null;
  const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const last = spans.at(-1);
  const told = `${last.most ? `${countText(last.most)} at once now` : "no limit known"}, closed ${countText(closed.length)} times`;
  return html`<svg class="chart" viewBox=${`0 0 ${box.width} ${HEIGHT}`} role="img" aria-label=${`Limit of ${oneLine(pool)}: ${told}`}>
      ${ticks([0, top], 3).filter(Number.isInteger).map((value) => html`<g key=${value}><line class="rule" x1=${box.left} x2=${box.width - box.right} y1=${y(value)} y2=${y(value)} /><text x=${box.left - 5} y=${y(value) + 4} text-anchor="end">${countText(value)}</text></g>`)}
      ${closed.map((span) => html`<rect key=${span.from} class=${CLOSED[span.gate][0]} x=${across(span.from)} width=${Math.max(1, across(span.to) - across(span.from))} y=${TOP} height=${HEIGHT - TOP - BOTTOM}>
        <title>${CLOSED[span.gate][1]} from ${wholeText(span.from)} to ${wholeText(span.to)}</title></rect>`)}
      <g class="s0"><path class="curve" d=${stairs(spans.filter((span) => span.most), across, y)} /></g>
    </svg>
    <ul class="legend"><li>at once, at most</li>${Object.entries(CLOSED).filter(([gate]) => closed.some((span) => span.gate === gate)).map(([gate, [tone, words]]) => html`<li key=${gate}><svg class="swatch gap" viewBox="0 0 12 12" aria-hidden="true"><rect class=${tone} width="12" height="12" rx="3" /></svg>${words}</li>`)}</ul>`;
}

/** A line of steps; where no limit is known it has a gap. */
function stairs(spans, across, y) {
  return spans.map((span, place) => {
    const joins = place > 0 && spans[place - 1].to === span.from;
    return `${joins ? "L" : "M"}${across(span.from).toFixed(1)} ${y(span.most).toFixed(1)} H${across(span.to).toFixed(1)}`;
  }).join(" ");
}
