// One GPU in short: how much of its memory is given, and what is wrong with it.
import { sizeText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { Meter } from "./meter.js";
import { TaskNumbers } from "./task_link.js";

const TONES = { vetoed: "odd", quarantined: "bad", lost: "bad" };

/** A device's state in a word and its tone: one that is available is free, shared or in use. */
export function deviceState(gpu) {
  if (gpu.state !== "available") return { word: gpu.state, tone: TONES[gpu.state] || "odd" };
  if (!gpu.holders.length) return gpu.reserved_for ? { word: `kept for task ${gpu.reserved_for}`, tone: "held" } : { word: "free", tone: "good" };
  return { word: gpu.free_share > 0 ? "shared" : "in use", tone: "busy" };
}

export function DeviceMeter({ gpu }) {
  const used = gpu.vram_mib - gpu.free_mib;
  const foreign = gpu.foreign.reduce((sum, each) => sum + (each.vram_mib || 0), 0);
  const told = `${sizeText(used)} of ${sizeText(gpu.vram_mib)}`;
  const given = Math.max(used - foreign, gpu.holders.length ? gpu.vram_mib * (1 - gpu.free_share) : 0);
  const parts = [
    { value: foreign, tone: "odd", title: `${sizeText(foreign)} used by others` },
    { value: Math.min(given, gpu.vram_mib - foreign), tone: gpu.state === "quarantined" ? "bad" : "busy", title: told },
  ];
  return html`<div class="pool">
    <div><b class="cut" title=${oneLine(gpu.name)}>GPU ${gpu.index}</b><span>${told}</span></div>
    <${Meter} whole=${gpu.vram_mib} label=${`GPU ${gpu.index}: ${told}`} parts=${parts} />
    <div>
      <small class=${deviceState(gpu).tone}>${deviceState(gpu).word}${gpu.virtual ? " · virtual" : ""}</small>
      ${gpu.holders.length > 0 && html`<small>task <${TaskNumbers} ids=${gpu.holders} most=${3} /></small>`}
    </div>
  </div>`;
}
