// Points over two axes in series, with the front of each series (or of all) as a dashed line.
import { numberText } from "../base/amounts.js";
import { frontOf } from "../base/front.js";
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { boundsOf, isWide } from "../base/scales.js";
import { useBox } from "../base/watch.js";
import { Axes, BOX, frameOf } from "./axes.js";
import { SeriesLegend } from "./series_legend.js";

const NAMED = 8;

/**
 * `points` are `{x, y, name, series, href, open}`; `x` and `y` are `{title, more}`: the words of an axis and whether more is
 * better. `front`: "each" series, "all" points or none.
 */
export function Scatter({ points, x, y, front = "each", limits = [], title }) {
  const box = useBox(BOX);
  const known = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  if (!known.length) return html`<p class="soft">There is nothing to draw yet.</p>`;
  const names = [...new Set(known.map((point) => point.series || ""))];
  const across = [...known.map((point) => point.x), ...limits.filter((each) => each.on === "x").map((each) => each.value)];
  const wide = isWide(across);
  const frame = frameOf(
    wide ? [Math.min(...across) / 1.3, Math.max(...across) * 1.3] : boundsOf(across),
    boundsOf([...known.map((point) => point.y), ...limits.filter((each) => each.on === "y").map((each) => each.value)]),
    { box, wide },
  );
  const more = { x: x.more, y: y.more };
  const groups = names.map((name) => known.filter((point) => (point.series || "") === name));
  const fronts = front === "all" ? [frontOf(known.filter((point) => !point.open), more)] : front === "each" ? groups.map((group) => frontOf(group, more)) : [];
  const outstanding = new Set(fronts.flat());
  const isNamed = (point) => known.length <= NAMED || point.big || (outstanding.has(point) && outstanding.size <= NAMED);
  return html`<figure>
    ${title && html`<figcaption>${title}</figcaption>`}
    <svg class="chart" viewBox=${`0 0 ${box.width} ${box.height}`} role="group" aria-label=${`${y.title} against ${x.title}`}>
      <${Axes} frame=${frame} x=${wide ? `${x.title}, by factors` : x.title} y=${y.title} limits=${limits} />
      ${fronts.map((line, place) => line.length > 1 && html`<g class=${`s${place % 8}`}><path class="front" d=${pathOf(line, frame)} /></g>`)}
      ${groups.map((group, place) => html`<g key=${names[place]} class=${`s${place % 8}`}>${group.map((point) => html`<${Dot} point=${point} frame=${frame} x=${x} y=${y} named=${isNamed(point)} />`)}</g>`)}
    </svg>
    <${SeriesLegend} names=${names} note=${front !== "none" && "dashed: nothing is better on both axes"} />
  </figure>`;
}

function Dot({ point, frame, x, y, named }) {
  const [left, top] = [frame.x(point.x), frame.y(point.y)];
  const words = `${oneLine(point.name)}: ${numberText(point.y)} (${y.title}) at ${numberText(point.x)} (${x.title})`;
  const end = left > frame.box.width - 130;
  const dot = html`<circle class=${point.open ? "dot open" : "dot"} cx=${left} cy=${top} r=${point.big ? 7 : 5}><title>${words}</title></circle>
    ${named && html`<text x=${left + (end ? -9 : 9)} y=${top - 6} text-anchor=${end ? "end" : "start"}>${oneLine(point.name)}</text>`}`;
  return point.href ? html`<a href=${point.href}>${dot}</a>` : html`<g>${dot}</g>`;
}

const pathOf = (points, frame) => `M${points.map((point) => `${frame.x(point.x).toFixed(1)} ${frame.y(point.y).toFixed(1)}`).join(" L")}`;
