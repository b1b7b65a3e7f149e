// What is free and what is taken: devices in short, then every pool that has a limit; cooldowns count down.
import { html } from "../../base/html.js";
import { link } from "../../base/route.js";
import { plain } from "../../base/plain.js";
import { byName, isTelling } from "../../base/pools.js";
import { DeviceMeter, deviceState } from "../../parts/device_meter.js";
import { Panel } from "../../parts/panel.js";
import { Pool } from "../../parts/pool.js";

export function NowPools({ data }) {
  const free = data.gpus.filter((gpu) => deviceState(gpu).word === "free");
  const note = data.gpus.length ? `${free.length} of ${data.gpus.length} GPUs free` : "";
  return html`<${Panel} title="Capacity" note=${note} end=${html`<a href=${link(["devices"])}>devices and endpoints</a>`}>
    <div class="pools">
      ${data.gpus.map((gpu) => html`<${DeviceMeter} key=${gpu.uuid} gpu=${gpu} />`)}
      ${data.pools.filter(isTelling).sort(byName).map((pool) => html`<${Pool} key=${pool.name} pool=${pool} />`)}
    </div>
    ${!data.gpus.length && html`<p class="soft">No GPUs: ${plain(data.absent_reason || "none were found")}</p>`}
  <//>`;
}
