// The frame of a plot: a box with round marks on both axes, their names with units, and limits as lines across.
import { numberText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { scale, ticks, wideTicks } from "../base/scales.js";

/** Where a plot is drawn if there is room. */
export const BOX = { width: 640, height: 360, left: 62, right: 18, top: 14, bottom: 46 };

/** From values to places in the box; with `wide` the way across is in equal factors, not in equal steps. */
export function frameOf(xBounds, yBounds, { box, wide = false }) {
  const across = [box.left, box.width - box.right];
  const byFactor = wide && scale(xBounds.map(Math.log10), across);
  return {
    box,
    wide,
    x: wide ? (value) => byFactor(Math.log10(value)) : scale(xBounds, across),
    y: scale(yBounds, [box.height - box.bottom, box.top]),
    xBounds,
    yBounds,
  };
}

/** `limits` are `{value, words, on: "x" | "y"}`. */
export function Axes({ frame, x, y, limits = [] }) {
  const { box } = frame;
  const [right, bottom] = [box.width - box.right, box.height - box.bottom];
  return html`<g aria-hidden="true">
    ${(frame.wide ? wideTicks(frame.xBounds) : ticks(frame.xBounds, box.width / 100)).map((value) => html`<g key=${`x${value}`}>
      <line class="rule" x1=${frame.x(value)} x2=${frame.x(value)} y1=${box.top} y2=${bottom} />
      <text x=${frame.x(value)} y=${bottom + 15} text-anchor="middle">${numberText(value)}</text>
    </g>`)}
    ${ticks(frame.yBounds, 5).map((value) => html`<g key=${`y${value}`}>
      <line class="rule" x1=${box.left} x2=${right} y1=${frame.y(value)} y2=${frame.y(value)} />
      <text x=${box.left - 6} y=${frame.y(value) + 4} text-anchor="end">${numberText(value)}</text>
    </g>`)}
    <text class="title" x=${(box.left + right) / 2} y=${box.height - 8} text-anchor="middle">${x}</text>
    <text class="title" transform=${`translate(13 ${(box.top + bottom) / 2}) rotate(-90)`} text-anchor="middle">${y}</text>
    ${limits.filter(({ value, on }) => within(value, on === "x" ? frame.xBounds : frame.yBounds)).map((limit) => limit.on === "x"
      ? html`<line class="limit" x1=${frame.x(limit.value)} x2=${frame.x(limit.value)} y1=${box.top} y2=${bottom} /><text class="limit-name" x=${frame.x(limit.value) + 4} y=${box.top + 10}>${limit.words}</text>`
      : html`<line class="limit" x1=${box.left} x2=${right} y1=${frame.y(limit.value)} y2=${frame.y(limit.value)} /><text class="limit-name" x=${right - 4} y=${frame.y(limit.value) - 4} text-anchor="end">${limit.words}</text>`)}
  </g>`;
}

const within = (value, [low, high]) => value >= low && value <= high;
