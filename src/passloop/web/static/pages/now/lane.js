// One lane: the attempts on one device, on one endpoint or on the CPUs, as bars, and its gaps by their reason. Walk through
// the bars with the arrow keys, open one with Enter.
import { percentText } from "../../base/amounts.js";
import { html, useMemo } from "../../base/html.js";
import { oneLine } from "../../base/plain.js";
import { go, link } from "../../base/route.js";
import { toneOf } from "../../base/states.js";

const TRACK = 9;
const LEAST = 20;
const MOST = 62;

export function Lane({ lane, view, x, width, names, now, live, over, onOver, still }) {
  const height = Math.min(MOST, Math.max(LEAST, lane.tracks * TRACK));
  const track = height / Math.max(1, lane.tracks);
  const bars = useMemo(() => lane.bars.map((bar) => extended(bar, now, live)), [lane, now, live]);
  const seen = bars.filter((bar) => bar.end >= view[0] && bar.start <= view[1]);
  const gaps = lane.gaps.map((gap) => openEnded(gap, lane, now, live)).filter((gap) => gap.end >= view[0] && gap.start <= view[1]);
  const shape = (one) => ({ x: x(one.start), width: Math.max(0.8, x(one.end) - x(one.start)) });

  const find = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = view[0] + ((event.clientX - box.left) / box.width) * (view[1] - view[0]);
    const row = Math.floor(((event.clientY - box.top) / box.height) * lane.tracks);
    const slack = ((view[1] - view[0]) / width) * 2;
    const bar = seen.find((each) => each.track === row && at >= each.start - slack && at <= each.end + slack);
    const gap = bar ? null : gaps.find((each) => at >= each.start && at <= each.end);
    const place = { left: event.clientX - box.left + names, top: event.currentTarget.parentNode.offsetTop + height + 6 };
    onOver(bar || gap ? { lane: lane.id, label: lane.label, bar, gap, ...place } : null);
  };
  const walk = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" && over?.bar) open(over.bar);
    if (!by || !seen.length) return;
    event.preventDefault();
    const from = over?.bar ? seen.findIndex((bar) => bar.attempt === over.bar.attempt && bar.start === over.bar.start) : by > 0 ? -1 : seen.length;
    const bar = seen[Math.min(seen.length - 1, Math.max(0, from + by))];
    onOver({ lane: lane.id, label: lane.label, bar, gap: null, left: Math.max(0, x(bar.start)) + names, top: event.currentTarget.parentNode.offsetTop + height + 6 });
  };
  const click = () => still && over?.bar && open(over.bar);
  return html`<div class="lane" style=${{ gridTemplateColumns: `${names - 10}px 1fr` }}>
    <span class="name"><span class="cut">${oneLine(lane.label)}</span><small class="cut">${told(lane, bars, view)}</small></span>
    <svg viewBox=${`0 0 ${width} ${height}`} height=${height} preserveAspectRatio="none" tabindex="0" role="group"
      aria-label=${`${oneLine(lane.label)}: ${told(lane, bars, view)}, ${seen.length} attempts`}
      onPointerMove=${find} onPointerLeave=${() => onOver(null)} onBlur=${() => onOver(null)} onKeyDown=${walk} onClick=${click}>
      ${gaps.map((gap) => html`<rect key=${`g${gap.start}`} class=${`gap-${gap.reason}`} y="0" height=${height} ...${shape(gap)} />`)}
      ${seen.map((bar) => html`<rect key=${`b${bar.track}-${bar.start}`} class=${`bar ${toneClass(bar)}${over?.bar === bar ? " on" : ""}`}
        y=${bar.track * track} height=${Math.max(1.5, track)} rx=${track > 12 ? 2 : 0} ...${shape(bar)} />`)}
    </svg>
  </div>`;
}

function open(bar) {
  if (bar.task !== null) go(link(["tasks", String(bar.task)]));
}

/** What runs goes on until now. */
function extended(bar, now, live) {
  return live && ["admitted", "running", "stopping"].includes(bar.state) && !bar.outcome && bar.end < now ? { ...bar, end: now } : bar;
}

/** So does a gap that had no end when it was read. */
function openEnded(gap, lane, now, live) {
  const last = lane.gaps.at(-1) === gap && !lane.bars.some((bar) => bar.end >= gap.end);
  return live && last && gap.end < now ? { ...gap, end: now } : gap;
}

/** Many attempts in one bar: by the share of those without success. */
function toneOfMany(bad) {
  if (bad > 0.75) return "bad";
  return bad > 0.25 ? "odd" : "good";
}

function toneClass(bar) {
  if (bar.task === null) return `bar-${toneOfMany((bar.bad || 0) / bar.count)} many`;
  return `bar-${toneOf(bar.outcome || bar.state)}`;
}

/** How busy a lane was in what is seen of it. */
function told(lane, bars, view) {
  const room = view[1] - view[0];
  let busy = 0;
  let upto = view[0];
  for (const bar of [...bars].sort((one, other) => one.start - other.start)) {
    const start = Math.max(bar.start, upto);
    const end = Math.min(bar.end, view[1]);
    if (end > start) busy += end - start;
    upto = Math.max(upto, end);
  }
  return `busy ${percentText(Math.round((busy / room) * 100) / 100)}${lane.virtual ? ", virtual" : ""}`;
}
