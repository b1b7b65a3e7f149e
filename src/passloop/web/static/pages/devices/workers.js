// Workers that lie parked with something loaded: what they hold, and until when at the latest.
import { sizeText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { oneLine } from "../../base/plain.js";
import { Countdown } from "../../parts/countdown.js";
import { Grid } from "../../parts/grid.js";
import { Panel } from "../../parts/panel.js";
import { link } from "../../base/route.js";

export function Workers({ workers, gpus }) {
  const places = new Map(gpus.map((gpu) => [gpu.uuid, `GPU ${gpu.index}`]));
  const columns = [
    { name: "worker", title: "Worker", of: (one) => html`<span class="mono">${oneLine(one.worker)}</span>` },
    { name: "run", title: "Run", of: (one) => html`<a class="mono" href=${link(["runs", String(one.run)])}>${one.run}</a>` },
    { name: "key", title: "Loaded", grow: true, of: (one) => oneLine(one.key) },
    { name: "on", title: "On", of: (one) => one.gpus.map((uuid) => places.get(uuid) || uuid).join(", ") || "CPU" },
    { name: "memory", title: "Memory", number: true, of: (one) => sizeText(one.memory_mib) },
    { name: "state", title: "State", of: (one) => html`${one.state}${one.until && html` <small class="soft">ends <${Countdown} to=${one.until} before="at the latest in " /></small>`}` },
  ];
  return html`<${Panel} title="Parked workers" note="they give way at once to whoever is given what they hold" bare>
    <${Grid} folds label="Parked workers" columns=${columns} rows=${workers} keyOf=${(one) => one.worker} />
  <//>`;
}
