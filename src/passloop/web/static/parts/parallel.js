// Parallel coordinates: an upright axis for each parameter and objective, a line across them for each point. Press an
// axis to colour the lines by it.
import { numberText } from "../base/amounts.js";
import { html, useState } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { isWide, scale } from "../base/scales.js";

const HEIGHT = 300;
const TOP = 34;
const BOTTOM = 22;
const LEFT = 60;
const GAP = 120;

/** `axes` are `{name, title}`; `lines` are `{name, values: {axis: value}, best, missed, href}`. */
export function Parallel({ axes, lines }) {
  const [by, setBy] = useState(axes.at(-1)?.name);
  if (!lines.length || axes.length < 2) return null;
  const width = LEFT * 2 + GAP * (axes.length - 1);
  const scales = axes.map((axis) => axisOf(lines.map((line) => line.values[axis.name])));
  const at = (place) => LEFT + GAP * place;
  const colouring = scales[Math.max(0, axes.findIndex((axis) => axis.name === by))];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Parallel coordinates">
    <svg class="chart parallel" viewBox=${`0 0 ${width} ${HEIGHT}`} style=${{ minWidth: `${Math.min(width, 560)}px`, maxWidth: `${Math.round(width * 1.2)}px` }} role="group" aria-label="Parallel coordinates">
      ${lines.map((line) => html`<g key=${line.name} class=${`s${hue(colouring, line.values[by])}`}>
        <path class=${`line${line.best ? " best" : ""}${line.missed ? " missed" : ""}`} d=${pathOf(line, axes, scales, at)}>
          <title>${oneLine(line.name)}: ${axes.map((axis) => `${oneLine(axis.title)} ${numberText(line.values[axis.name])}`).join(", ")}</title>
        </path>
      </g>`)}
      ${axes.map((axis, place) => html`<g key=${axis.name}>
        <line class="rule" x1=${at(place)} x2=${at(place)} y1=${TOP} y2=${HEIGHT - BOTTOM} />
        ${scales[place].marks.map(([value, y]) => html`<text x=${at(place) - 5} y=${y + 4} text-anchor="end">${value}</text>`)}
        <text class="title" x=${at(place)} y=${place % 2 ? 12 : 25} text-anchor="middle" role="button" tabindex="0" aria-pressed=${String(axis.name === by)}
          onClick=${() => setBy(axis.name)} onKeyDown=${(event) => event.key === "Enter" && setBy(axis.name)}>
          <title>${oneLine(axis.title)}</title>${short(oneLine(axis.title))}${axis.name === by ? " ●" : ""}</text>
      </g>`)}
    </svg>
  </div>`;
}

const short = (title) => (title.length > 22 ? `${title.slice(0, 21)}…` : title);

function pathOf(line, axes, scales, at) {
  const places = axes.map((axis, place) => [at(place), scales[place].y(line.values[axis.name])]).filter(([, y]) => y !== null);
  return `M${places.map(([x, y]) => `${x} ${y.toFixed(1)}`).join(" L")}`;
}

/** Numbers on a measure, words in steps. */
function axisOf(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const room = [HEIGHT - BOTTOM, TOP];
  if (known.length && known.every((value) => typeof value === "number")) {
    return numbers(known, room);
  }
  const words = [...new Set(known.map(String))];
  const y = scale([0, Math.max(1, words.length - 1)], room);
  const place = (value) => words.indexOf(String(value));
  return {
    y: (value) => (value === null || value === undefined ? null : y(place(value))),
    marks: words.slice(0, 12).map((word) => [oneLine(word).slice(0, 12), y(place(word))]),
    share: (value) => (words.length < 2 ? 0 : place(value) / (words.length - 1)),
  };
}

/** Numbers in equal steps, or in equal factors where they reach far. */
function numbers(known, room) {
  const by = isWide(known) ? Math.log10 : (value) => value;
  const back = by === Math.log10 ? (value) => 10 ** value : by;
  const [low, high] = [by(Math.min(...known)), by(Math.max(...known))];
  const y = scale(low === high ? [low - 1, high + 1] : [low, high], room);
  const places = low === high ? [low] : [low, (low + high) / 2, high];
  return {
    y: (value) => (typeof value === "number" ? y(by(value)) : null),
    marks: places.map((place) => [numberText(Number(back(place).toPrecision(3))), y(place)]),
    share: (value) => (high === low ? 0 : (by(value) - low) / (high - low)),
  };
}

/** From low to high: one of four colours that can be told apart. */
function hue(axis, value) {
  if (value === null || value === undefined) return 7;
  return [0, 5, 3, 1][Math.min(3, Math.floor(axis.share(value) * 4))];
}
