// The lanes of the time line, one under the other, with a ruler, what the pointer is on, and moving about by hand.
import { html, useRef, useState } from "../../base/html.js";
import { scale, timeTicks } from "../../base/scales.js";
import { tickText } from "../../base/times.js";
import { Empty } from "../../parts/empty.js";
import { Hover } from "./hover.js";
import { Lane } from "./lane.js";

const NAME_WIDTH = 165;
const PHONE = 560;

export function Timeline({ data, view, now, width, live, onMove, onZoom }) {
  const [over, setOver] = useState(null);
  const [held, setHeld] = useState(null);
  const ref = useRef(null);
  const names = width < PHONE ? 92 : NAME_WIDTH;
  const room = Math.max(60, width - names);
  const x = scale(view, [0, room]);
  if (!data.lanes.length) return html`<${Empty}>Nothing has run in this time.<//>`;

  const timeAt = (event) => view[0] + ((event.clientX - ref.current.getBoundingClientRect().left - names) / room) * (view[1] - view[0]);
  const press = (event) => event.button === 0 && setHeld({ x: event.clientX, end: view[1], moved: false });
  const drag = (event) => {
    if (!held || Math.abs(event.clientX - held.x) < 4) return;
    setHeld({ ...held, moved: true });
    setOver(null);
    onMove(held.end - ((event.clientX - held.x) / room) * (view[1] - view[0]));
  };
  const wheel = (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    onZoom(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, timeAt(event));
  };
  return html`<div
    class=${held?.moved ? "lanes dragged" : "lanes"} ref=${ref} onPointerDown=${press} onPointerMove=${drag}
    onPointerUp=${() => setTimeout(() => setHeld(null))} onPointerLeave=${() => { setHeld(null); setOver(null); }} onWheel=${wheel}
  >
    ${data.lanes.map(
      (lane) => html`<${Lane} key=${lane.id} lane=${lane} view=${view} x=${x} width=${room} names=${names} now=${now} live=${live}
        over=${over?.lane === lane.id ? over : null} onOver=${held?.moved ? () => {} : setOver} still=${!held?.moved} />`,
    )}
    <${Ruler} view=${view} x=${x} width=${room} names=${names} />
    ${over && html`<${Hover} over=${over} data=${data} limit=${width} />`}
  </div>`;
}

function Ruler({ view, x, width, names }) {
  const { step, found } = timeTicks(view, Math.max(2, Math.floor(width / 85)));
  return html`<div class="lane" style=${{ gridTemplateColumns: `${names - 10}px 1fr` }} aria-hidden="true">
    <span></span>
    <svg class="ruler" viewBox=${`0 0 ${width} 20`} height="20" width=${width}>
      ${found.map((at) => html`<g key=${at}><line x1=${x(at)} x2=${x(at)} y1="0" y2="5" /><text x=${x(at)} y="16" text-anchor=${x(at) < 24 ? "start" : x(at) > width - 24 ? "end" : "middle"}>${tickText(at, step)}</text></g>`)}
    </svg>
  </div>`;
}
