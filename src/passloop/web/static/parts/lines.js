// Curves over one axis, a line for each series with its measured points, and limits as dashed lines.
import { numberText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { boundsOf } from "../base/scales.js";
import { useBox } from "../base/watch.js";
import { Axes, BOX, frameOf } from "./axes.js";
import { SeriesLegend } from "./series_legend.js";

/** `series` are `{name, points: [{x, y}], strong, faded}`. */
export function Lines({ series, x, y, limits = [], title, legend = true }) {
  const box = useBox(BOX);
  const all = series.flatMap((one) => one.points).filter((point) => Number.isFinite(point.y));
  if (!all.length) return null;
  const frame = frameOf(
    boundsOf(all.map((point) => point.x), { zero: true }),
    boundsOf([...all.map((point) => point.y), ...limits.map((limit) => limit.value)], { zero: true }),
    { box },
  );
  return html`<figure>
    ${title && html`<figcaption>${title}</figcaption>`}
    <svg class="chart" viewBox=${`0 0 ${box.width} ${box.height}`} role="img" aria-label=${`${y} against ${x}`}>
      <${Axes} frame=${frame} x=${x} y=${y} limits=${limits} />
      ${series.map((one, place) => html`<g key=${one.name} class=${`s${place % 8}${one.faded ? " faded" : ""}`}>
        <path class="curve" stroke-width=${one.strong ? 2.6 : 1.6} d=${`M${one.points.map((point) => `${frame.x(point.x).toFixed(1)} ${frame.y(point.y).toFixed(1)}`).join(" L")}`} />
        ${one.points.map((point) => html`<circle class="dot" cx=${frame.x(point.x)} cy=${frame.y(point.y)} r=${one.strong ? 4 : 3}>
          <title>${oneLine(one.name)}: ${numberText(point.y)} at ${numberText(point.x)}</title></circle>`)}
      </g>`)}
    </svg>
    ${legend && html`<${SeriesLegend} names=${series.map((one) => one.name)} />`}
  </figure>`;
}
