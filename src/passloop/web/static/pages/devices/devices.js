// Devices and endpoints: who holds what, what is kept out and why, limits and what became of calls.
import { touches } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { plain } from "../../base/plain.js";
import { Empty } from "../../parts/empty.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";
import { Device } from "./device.js";
import { DeviceCurves } from "./device_curves.js";
import { PoolList } from "./pool_list.js";
import { Workers } from "./workers.js";

export function Page() {
  const concerns = (event) => event === null || touches(event, "devices", "pools", "tasks");
  const gpus = useLive("/gpus", {}, { concerns });
  const pools = useLive("/pools", {}, { concerns });
  return html`
    <div class="head"><h1>Devices and endpoints</h1></div>
    <${Panel} title="GPUs" bare>
      <${Loaded} of=${gpus}>${(data) => data.gpus.length
        ? data.gpus.map((gpu) => html`<${Device} key=${gpu.uuid} gpu=${gpu} />`)
        : html`<${Empty} command="PASSLOOP_VIRTUAL_GPUS=4x80GiB passloop up">There are no GPUs: ${plain(data.absent_reason || "none were found").replace(/\.$/, "")}. To try things out:<//>`}<//>
    <//>
    ${gpus.data?.gpus.length > 0 && html`<${DeviceCurves} gpus=${gpus.data.gpus} />`}
    ${gpus.data?.workers?.length > 0 && html`<${Workers} workers=${gpus.data.workers} gpus=${gpus.data.gpus} />`}
    <${Loaded} of=${pools}>${(data) => html`<${PoolList} pools=${data.pools} />`}<//>
  `;
}
