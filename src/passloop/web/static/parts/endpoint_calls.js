// Calls of an endpoint step by step of time: answered, refused for coming too fast (429), failed; below them its limit.
import { countText } from "../base/amounts.js";
import { touches } from "../base/events.js";
import { html } from "../base/html.js";
import { useLive } from "../base/live.js";
import { oneLine } from "../base/plain.js";
import { ticks } from "../base/scales.js";
import { millis, spanText, tickText } from "../base/times.js";
import { useBox } from "../base/watch.js";
import { LimitLine } from "./limit_line.js";
import { Loaded } from "./loaded.js";

const BOX = { width: 640, height: 170, left: 44, right: 8, top: 10, bottom: 24 };
const KINDS = [["success", "bar-good", "answered"], ["rate_limited", "bar-odd", "429: too fast"], ["failure", "bar-bad", "failed"], ["timeout", "bar-calm", "timed out"]];

/** Of the last hour; with `from` (and `to`) in ms, of that stretch of time. */
export function EndpointCalls({ pool, from, to }) {
  const asked = from === undefined ? { minutes: 60 } : { from, ...(to ? { to } : {}) };
  const found = useLive(`/pools/${encodeURIComponent(pool)}/calls`, asked, { concerns: (event) => event === null || touches(event, "pools", "tasks"), pause: 5000 });
  return html`<figure><figcaption>${oneLine(pool)}</figcaption><${Loaded} of=${found}>${(data) => html`<${Bars} rows=${data.steps} span=${data.step} limits=${data.limits} until=${data.until} pool=${pool} />`}<//></figure>`;
}

function Bars({ rows, span, limits, until, pool }) {
  const box = useBox(BOX);
  const most = Math.max(1, ...rows.map((row) => KINDS.reduce((sum, [name]) => sum + (row[name] || 0), 0)));
  const room = box.width - box.left - box.right;
  const step = room / Math.max(1, rows.length);
  const y = (value) => box.height - box.bottom - (value / most) * (box.height - box.top - box.bottom);
  const total = (name) => rows.reduce((sum, row) => sum + (row[name] || 0), 0);
  const told = KINDS.map(([name, , words]) => `${countText(total(name))} ${words}`).join(", ");
  return html`<svg class="chart" viewBox=${`0 0 ${box.width} ${box.height}`} role="img" aria-label=${`Calls of ${oneLine(pool)}: ${told}`}>
      ${ticks([0, most], 3).filter(Number.isInteger).map((value) => html`<g key=${value}><line class="rule" x1=${box.left} x2=${box.width - box.right} y1=${y(value)} y2=${y(value)} /><text x=${box.left - 5} y=${y(value) + 4} text-anchor="end">${countText(value)}</text></g>`)}
      ${rows.map((row, place) => html`<${Bar} key=${place} row=${row} span=${span} x=${box.left + place * step} width=${step} y=${y} />`)}
      ${marksOf(rows, room, span).map((place) => html`<text key=${place} x=${box.left + place * step} y=${box.height - 8}>${tickText(at(rows[place]), span)}</text>`)}
    </svg>
    <ul class="legend"><li>${span === 60_000 ? "calls a minute" : `calls each ${spanText(span).replace(".0 ", " ")}`}</li>${KINDS.map(([name, tone, words]) => html`<li key=${name}><svg class="swatch gap" viewBox="0 0 12 12" aria-hidden="true"><rect class=${tone} width="12" height="12" rx="3" /></svg>${words}: ${countText(total(name))}</li>`)}</ul>
    ${limits.length > 0 && html`<${LimitLine} limits=${limits} across=${(time) => box.left + ((time - at(rows[0])) / span) * step} until=${until} box=${box} pool=${pool} />`}`;
}

/** The places of rows whose time is written below them: at most six, and as many as there is room for. */
function marksOf(rows, room, span) {
  const wide = span < 60_000 ? 76 : 52;
  const every = Math.ceil(rows.length / Math.min(6, Math.max(1, Math.floor(room / wide))));
  return rows.map((_row, place) => place).filter((place) => place % every === 0 && room * (1 - place / rows.length) > wide - 12);
}

const at = (row) => millis(row.at);

function Bar({ row, span, x, width, y }) {
  let under = 0;
  return html`<g><title>${tickText(at(row), span)}: ${KINDS.map(([name, , words]) => `${row[name] || 0} ${words}`).join(", ")}</title>
    ${KINDS.map(([name, tone]) => {
      const from = under;
      under += row[name] || 0;
      return row[name] > 0 && html`<rect key=${name} class=${tone} x=${x + 0.5} width=${Math.max(1, width - 1)} y=${y(under)} height=${y(from) - y(under)} />`;
    })}
  </g>`;
}
