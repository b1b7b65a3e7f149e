// The time line with its controls: how much of time, where, and what the colours of the gaps mean.
import { touches } from "../../base/events.js";
import { html, useEffect, useRef } from "../../base/html.js";
import { useKeys } from "../../base/keys.js";
import { useLive } from "../../base/live.js";
import { momentText } from "../../base/times.js";
import { useNow, useSize } from "../../base/watch.js";
import { Failure } from "../../parts/failure.js";
import { Panel } from "../../parts/panel.js";
import { SPANS, show, windowOf } from "./spans.js";
import { Legend } from "./legend.js";
import { Timeline } from "./timeline.js";

const NAME_WIDTH = 165;

export function TimelinePanel({ params }) {
  const { span, to } = windowOf(params);
  const now = useNow(Math.max(1000, Math.min(60_000, span / 600)));
  const [ref, size] = useSize();
  const view = [(to ?? now) - span, to ?? now];
  const asked = askedFor(view, span, to, Math.max(200, size.width - NAME_WIDTH));
  const found = useLive(size.width ? "/timeline" : null, asked, {
    concerns: (event) => to === null && (event === null || touches(event, "tasks", "devices", "pools")),
    pause: Math.max(400, Math.min(5000, span / 1000)),
  });
  const kept = useRef(null);
  useEffect(() => {
    if (found.data) kept.current = found.data;
  }, [found.data]);
  const data = found.data || kept.current;
  const move = (by) => show({ span, to: (to ?? now) + by * span }, now);
  const zoom = (by) => show({ span: span * by, to: to === null ? null : to - (span - span * by) / 2 }, now);
  useKeys([
    { keys: "+", does: "less time, more of it", act: () => zoom(0.5) },
    { keys: "-", does: "more time", act: () => zoom(2) },
    { keys: "[", does: "earlier", act: () => move(-0.5) },
    { keys: "]", does: "later", act: () => move(0.5) },
    { keys: "0", does: "go on with the time", act: () => show({ span, to: null }, now) },
  ]);
  return html`<${Panel} title="Devices over time" note=${to === null ? "live" : `until ${momentText(to)}`} end=${html`<${Spans} span=${span} to=${to} now=${now} move=${move} />`} label="Time line">
    <div ref=${ref}>
      ${found.error && !data && html`<${Failure} error=${found.error} again=${found.reload} />`}
      ${data && size.width > 0 && html`<${Timeline} data=${data} view=${view} now=${now} width=${size.width} live=${to === null}
        onMove=${(end) => show({ span, to: end }, now)} onZoom=${(factor, at) => show({ span: span * factor, to: at + (view[1] - at) * factor }, now)} />`}
      ${data && html`<${Legend} data=${data} />`}
    </div>
  <//>`;
}

/** What is read for a view: somewhat more than is seen, so that it need not be read again for every pixel of time. */
function askedFor(view, span, to, width) {
  const step = Math.max(2000, span / 15);
  const end = to === null ? Math.ceil(view[1] / step) * step + step : Math.ceil(view[1] + span * 0.1);
  const start = to === null ? end - span - 3 * step : Math.floor(view[0] - span * 0.1);
  return { from: Math.round(start), to: Math.round(end), width: Math.round((width * (end - start)) / span) };
}

function Spans({ span, to, now, move }) {
  return html`<span class="chips" role="group" aria-label="How much time">
    <button class="quiet round" type="button" title="Earlier ([)" aria-label="Earlier" onClick=${() => move(-0.5)}>‹</button>
    ${SPANS.map(
      ([name, ms, words]) => html`<button key=${name} class="chip" type="button" aria-pressed=${String(ms === span)} onClick=${() => show({ span: ms, to }, now)}>
        ${words}
      </button>`,
    )}
    <button class="quiet round" type="button" title="Later (])" aria-label="Later" disabled=${to === null} onClick=${() => move(0.5)}>›</button>
    ${to !== null && html`<button class="chip" type="button" onClick=${() => show({ span, to: null }, now)}>go live</button>`}
  </span>`;
}
