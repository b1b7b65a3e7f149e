// Series over time with axes and units, by uPlot. Colours are read from the page, so that they follow light and dark.
import { html, useEffect, useRef } from "../base/html.js";
import { useSignal } from "../base/signal.js";
import { theme } from "../base/theme.js";
import { useSize } from "../base/watch.js";
import UPlot from "../vendor/uplot.js";

const HEIGHT = 190;

/** `lines` are `{name, at: [ms], values}`; `most` fixes the top of the axis. */
export function Curve({ title, unit, lines, most = null }) {
  const [box, size] = useSize();
  const place = useRef(null);
  const shown = useSignal(theme);
  useEffect(() => {
    if (!size.width || !lines.length) return undefined;
    const plot = new UPlot(optionsOf({ unit, lines, most, width: size.width, place: place.current }), dataOf(lines), place.current);
    return () => plot.destroy();
  }, [size.width, lines, shown]);
  if (!lines.length) return null;
  return html`<figure ref=${box}>
    <figcaption>${title} <span class="soft">in ${unit}</span></figcaption>
    <div ref=${place} role="img" aria-label=${`${title} in ${unit} over time, ${lines.map((line) => lastText(line, unit)).join("; ")}`}></div>
  </figure>`;
}

function optionsOf({ unit, lines, most, width, place }) {
  const colour = (name) => resolved(place, name);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--rule"), width: 1 }, ticks: { stroke: colour("--rule"), width: 1 }, font: "11px system-ui" };
  return {
    width,
    height: HEIGHT,
    ms: 1,
    scales: { y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), most ?? Math.max(1, (high ?? 1) * 1.1)] } },
    axes: [{ ...axis, space: 90, values: hours }, { ...axis, size: 52, values: (_plot, marks) => marks.map((mark) => `${mark}`) }],
    series: [
      { label: "at", value: (_plot, at) => (at === null ? "–" : new Date(at).toLocaleTimeString()) },
      ...lines.map((line, place) => ({
        label: line.name, stroke: colour(`--s${place % 8}`), width: 1.5, points: { show: false },
        value: (_plot, value) => (value === null || value === undefined ? "–" : `${Number(value.toFixed(1))} ${unit}`),
      })),
    ],
    cursor: { drag: { x: true, y: false } },
  };
}

const hours = (_plot, marks) => marks.map((mark) => new Date(mark).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }));

/** All lines over one row of times. */
function dataOf(lines) {
  const times = [...new Set(lines.flatMap((line) => line.at))].sort((one, other) => one - other);
  const rows = lines.map((line) => {
    const known = new Map(line.at.map((at, place) => [at, line.values[place]]));
    return times.map((at) => (known.has(at) ? known.get(at) : undefined));
  });
  return [times, ...rows];
}

/** A colour of the style sheet as the browser shows it now. */
function resolved(element, name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function lastText(line, unit) {
  const last = line.values.findLast((value) => value !== null);
  return `${line.name} ${last === undefined ? "unknown" : `${Number(last.toFixed(1))} ${unit}`}`;
}
