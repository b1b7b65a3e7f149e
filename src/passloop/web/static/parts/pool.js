// One pool: how much of it is in use, and whether it is closed, with the time until it opens.
import { countText, cpusText, sizeText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { isOfRun, isUnlimited } from "../base/pools.js";
import { Countdown } from "./countdown.js";
import { Meter } from "./meter.js";

const GATES = { open: ["", ""], cooling: ["odd", "cooling"], half_open: ["odd", "trying one"], dead: ["bad", "dead"] };

/** An amount of a pool in its own unit. */
export function poolText(pool, amount) {
  if (pool.name === "cpu") return cpusText(amount);
  if (pool.name === "memory") return sizeText(amount);
  return countText(amount);
}

/** What is counted in a pool. */
function unitOf(pool) {
  if (pool.kind === "rate") return `${oneLine(pool.name.split(":").at(-1))} a minute`;
  if (pool.kind === "limit" || isOfRun(pool)) return "at once";
  return pool.name === "cpu" ? "CPUs" : "";
}

export function Pool({ pool, end }) {
  const unlimited = isUnlimited(pool);
  const now = pool.limit !== null && pool.limit !== undefined && pool.limit !== pool.capacity ? pool.limit : null;
  const told = `${poolText(pool, pool.used)}${unlimited ? "" : ` of ${poolText(pool, pool.capacity)}`} ${unitOf(pool)}`;
  const [tone, word] = GATES[pool.state] || ["odd", pool.state];
  const parts = [{ value: pool.used, tone: pool.used >= pool.capacity ? "odd" : "busy", title: told }];
  return html`<div class="pool">
    <b class="cut" title=${oneLine(pool.name)}>${shortName(pool)}</b>
    <${Meter} whole=${pool.capacity} label=${`${pool.name}: ${told}`} parts=${parts} />
    <div>
      <small>${told}${now !== null && ` · ${countText(now)} for now`}${unlimited && " · no limit known"}</small>
      ${word && html`<small class=${tone}>${word}${pool.until && html` <${Countdown} to=${pool.until} before="for " over="until now" />`}</small>`}
      ${end}
    </div>
  </div>`;
}

/** The end of a long name says more than its beginning; of a limit, the name of its run is enough. */
function shortName(pool) {
  const name = oneLine(pool.name).replace(/:(requests|tokens)$/, "").replace(/^parallel\/(.+)$/, "$1").replace(/^trials:(.+):\w+$/, "trials of $1");
  return name.length > 34 ? `…${name.slice(-33)}` : name;
}
