// One pool: how much of it is in use, and whether it is closed, with the time until it opens.
import { countText, cpusText, sizeText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { Countdown } from "./countdown.js";
import { Meter } from "./meter.js";

const GATES = { open: ["", ""], cooling: ["odd", "cooling"], half_open: ["odd", "trying one"], probing: ["odd", "trying one"], dead: ["bad", "dead"] };

/** An amount of a pool in its own unit. */
export function poolText(pool, amount) {
  if (pool.name === "cpu") return cpusText(amount);
  if (pool.name === "memory") return sizeText(amount);
  return countText(amount);
}

export function Pool({ pool, end }) {
  const [tone, word] = GATES[pool.state] || ["odd", pool.state];
  const told = `${poolText(pool, pool.used)} of ${poolText(pool, pool.capacity)}`;
  const limited = pool.limit !== null && pool.limit !== undefined && pool.limit !== pool.capacity;
  return html`<div class="pool">
    <div><b class="cut" title=${oneLine(pool.name)}>${oneLine(pool.name)}</b><span>${told}</span></div>
    <${Meter} whole=${pool.capacity} label=${`${pool.name}: ${told} in use`} parts=${[{ value: pool.used, tone: pool.used >= pool.capacity ? "odd" : "busy", title: told }]} />
    <div>
      <small>${pool.kind}${limited ? ` · limited to ${countText(pool.limit)} for now` : ""}</small>
      ${word && html`<small class=${tone}>${word}${pool.until && html` <${Countdown} to=${pool.until} before="for " over="until now" />`}</small>`}
      ${end}
    </div>
  </div>`;
}
