// What the pointer is on: an attempt and how it ended, or a gap and why nothing ran there.
import { html } from "../../base/html.js";
import { oneLine, plain } from "../../base/plain.js";
import { momentText, spanText } from "../../base/times.js";

const WIDTH = 300;

export function Hover({ over, data, limit }) {
  const left = Math.max(0, Math.min(over.left + 8, limit - WIDTH));
  return html`<div class="hover" role="status" style=${{ left: `${left}px`, top: `${over.top}px`, width: `${WIDTH}px` }}>
    ${over.bar ? html`<${Bar} bar=${over.bar} />` : html`<${Gap} gap=${over.gap} data=${data} label=${over.label} />`}
  </div>`;
}

function Bar({ bar }) {
  const many = bar.task === null;
  return html`<b>${many ? `${bar.count} attempts${bar.bad ? `, ${bar.bad} of them without success` : ""}` : `${bar.task} ${oneLine(bar.name)}`}</b>
    <div>${many ? "too short to be drawn one by one" : `${bar.outcome || bar.state}${bar.number > 1 ? ` · attempt ${bar.number}` : ""} · run ${bar.run}`}</div>
    <div>${momentText(bar.start)} to ${momentText(bar.end)} · ${spanText(bar.end - bar.start)}</div>`;
}

function Gap({ gap, data, label }) {
  return html`<b>${oneLine(label)}: ${gap.reason}</b>
    <div>${plain(gap.sentence || data.reasons?.[gap.reason] || "")}</div>
    <div>${momentText(gap.start)} to ${momentText(gap.end)} · ${spanText(gap.end - gap.start)}</div>`;
}
