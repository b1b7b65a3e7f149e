// One GPU: what of it is given and to whom, who else uses it, and, where it is kept out, the button that vouches for it.
import { told } from "../../base/acts.js";
import { percentText, sizeText } from "../../base/amounts.js";
import { post } from "../../base/api.js";
import { html, useState } from "../../base/html.js";
import { oneLine, plain } from "../../base/plain.js";
import { Ask } from "../../parts/ask.js";
import { deviceState } from "../../parts/device_meter.js";
import { Meter } from "../../parts/meter.js";
import { TaskNumbers } from "../../parts/task_link.js";

export function Device({ gpu }) {
  const [asked, setAsked] = useState(false);
  const state = deviceState(gpu);
  const foreign = gpu.foreign.reduce((sum, each) => sum + (each.vram_mib || 0), 0);
  const used = gpu.vram_mib - gpu.free_mib;
  const parts = [
    { value: foreign, tone: "odd", title: `${sizeText(foreign)} by processes that are not ours` },
    { value: Math.max(0, used - foreign), tone: "busy", title: `${sizeText(used - foreign)} given or in use` },
  ];
  const release = () => told(() => post(`/gpus/${encodeURIComponent(gpu.uuid)}/release`), () => `GPU ${gpu.index} may be used again`);
  return html`<div class="device">
    <div>
      <b>GPU ${gpu.index}</b> <span>${oneLine(gpu.name)}</span>${gpu.virtual && html` <span class="chip">virtual</span>`}
      <div class="soft mono">${oneLine(gpu.uuid)}</div>
    </div>
    <div>
      <${Meter} parts=${parts} whole=${gpu.vram_mib} label=${`${sizeText(used)} of ${sizeText(gpu.vram_mib)}`} />
      <div class="chips soft">
        <span class=${`tag ${state.tone}`}>${state.word}</span>
        <span>${sizeText(gpu.free_mib)} of ${sizeText(gpu.vram_mib)} free</span>
        ${gpu.free_share > 0 && gpu.free_share < 1 && html`<span>${percentText(gpu.free_share)} of it free</span>`}
        ${gpu.utilisation !== null && gpu.utilisation !== undefined && html`<span>busy ${gpu.utilisation} %</span>`}
        ${gpu.holders.length > 0 && html`<span>held by <${TaskNumbers} ids=${gpu.holders} /></span>`}
        ${gpu.reserved_for && html`<span class="held">kept for <${TaskNumbers} ids=${[gpu.reserved_for]} /></span>`}
      </div>
      ${gpu.foreign.map((each) => html`<div class="odd" key=${each.pid}>not ours: ${each.pid ? `pid ${each.pid} (${oneLine(each.name || "?")})` : oneLine(each.name || "?")} of user ${oneLine(each.user || "?")}${each.pid ? `, ${sizeText(each.vram_mib)}` : ""}</div>`)}
      ${gpu.strays.length > 0 && html`<div class="bad">strays of ours: pid ${gpu.strays.join(", ")}</div>`}
      ${gpu.fault && html`<div class="bad">${plain(gpu.fault)}</div>`}
    </div>
    <div>${gpu.state === "quarantined" && html`<button type="button" onClick=${() => setAsked(true)}>Release</button>`}</div>
    ${asked && html`<${Ask} title=${`Release GPU ${gpu.index} from quarantine?`} word="Release" onYes=${release} onClose=${() => setAsked(false)}>
      <p>You vouch for it: no process of ours is on it, and it works. The next task may be given to it at once.</p>
    <//>`}
  </div>`;
}
