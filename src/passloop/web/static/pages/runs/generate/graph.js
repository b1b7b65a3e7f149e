// The columns of a dataset as a graph: what needs what, and how far each column is.
import { countText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { oneLine } from "../../../base/plain.js";
import { Panel } from "../../../parts/panel.js";

const WIDTH = 168;
const HEIGHT = 62;
const ACROSS = 64;
const DOWN = 16;

export function Graph({ columns, rows }) {
  const { places, width, height } = laidOut(columns);
  return html`<${Panel} title="Graph" note="a column starts a cell as soon as the cells it needs are there">
    <div class="scroll" tabindex="0" role="region" aria-label="Graph of columns">
      <svg class="chart dag" viewBox=${`-2 -2 ${width + 4} ${height + 4}`} style=${{ width: `${width}px`, maxWidth: "none" }} height=${height} role="img" aria-label=${columns.map((column) => `${column.name} after ${column.needs.join(", ") || "nothing"}`).join("; ")}>
        ${columns.flatMap((column) => column.needs.filter((need) => places.has(need)).map((need) => html`<path key=${`${need}>${column.name}`} d=${edge(places.get(need), places.get(column.name))} />`))}
        ${columns.map((column) => html`<${Node} key=${column.name} column=${column} at=${places.get(column.name)} rows=${rows} />`)}
      </svg>
    </div>
  <//>`;
}

function Node({ column, at, rows }) {
  const { done, failed, running, whole } = progress(column, rows);
  const bar = WIDTH - 20;
  const part = (value) => (whole ? (Math.min(value, whole) / whole) * bar : 0);
  const second = column.model ? oneLine(column.model) : column.kind;
  const third = whole ? `${countText(done)} of ${countText(whole)}${column.done_last_minute ? ` · ${countText(column.done_last_minute)}/min` : ""}` : "made in place";
  return html`<g transform=${`translate(${at.x} ${at.y})`}>
    <title>${oneLine(column.name)} (${column.kind}): ${third}</title>
    <rect width=${WIDTH} height=${HEIGHT} rx="7" />
    <text class="name" x="10" y="17">${cut(oneLine(column.name), 22)}</text>
    <text x="10" y="32">${cut(second, 24)}</text>
    ${whole > 0 && html`<rect class="rest" x="10" y="38" width=${bar} height="5" rx="2" />
    <rect class="done" x="10" y="38" width=${part(done)} height="5" rx="2" />
    <rect class="busy" x=${10 + part(done)} y="38" width=${part(running)} height="5" />
    <rect class="broken" x=${10 + part(done) + part(running)} y="38" width=${part(failed)} height="5" />`}
    <text x="10" y="56">${third}</text>
  </g>`;
}

/** How far a column is: cells done (by this run or an earlier one), failed, under way, of how many. */
export function progress(column, rows) {
  const counts = column.counts || {};
  const earlier = column.earlier || 0;
  const all = Object.values(counts).reduce((sum, count) => sum + count, earlier);
  const done = (counts.succeeded || 0) + earlier;
  const failed = (counts.failed || 0) + (counts.aborted || 0) + (counts.rejected || 0);
  const running = (counts.running || 0) + (counts.admitted || 0);
  return { done, failed, running, whole: all ? Math.max(all, rows || 0) : 0 };
}

/** A column stands one step right of the last that it needs. */
function laidOut(columns) {
  const step = new Map();
  for (const column of columns) step.set(column.name, Math.max(0, ...column.needs.filter((need) => step.has(need)).map((need) => step.get(need) + 1)));
  const stacks = new Map();
  const places = new Map();
  for (const column of columns) {
    const at = step.get(column.name);
    const row = stacks.get(at) || 0;
    stacks.set(at, row + 1);
    places.set(column.name, { x: at * (WIDTH + ACROSS), y: row * (HEIGHT + DOWN) });
  }
  const steps = Math.max(1, ...[...step.values()].map((value) => value + 1));
  const most = Math.max(1, ...stacks.values());
  return { places, width: steps * WIDTH + (steps - 1) * ACROSS, height: most * HEIGHT + (most - 1) * DOWN };
}

function edge(from, to) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const bend = Math.max(24, (x2 - x1) / 2);
  return `M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
