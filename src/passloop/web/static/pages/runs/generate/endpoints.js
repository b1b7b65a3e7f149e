// The endpoints that a dataset calls: limits and cooldowns now, and what became of calls while its run went on.
import { html } from "../../../base/html.js";
import { EndpointCalls } from "../../../parts/endpoint_calls.js";
import { byName } from "../../../base/pools.js";
import { Empty } from "../../../parts/empty.js";
import { Panel } from "../../../parts/panel.js";
import { Pool } from "../../../parts/pool.js";

export function Endpoints({ dataset }) {
  if (!dataset.pools?.length) return html`<section class="panel"><${Empty}>It calls no endpoint.<//></section>`;
  const limits = dataset.pools.filter((pool) => pool.kind !== "rate" || !dataset.pools.some((each) => each.name === pool.parent));
  return html`<${Panel} title="Limits now"><div class="pools">${[...dataset.pools].sort(byName).map((pool) => html`<${Pool} key=${pool.name} pool=${pool} />`)}</div><//>
    <${Panel} title="Calls" note="what became of them while this run went on, and how many were let through" bare>
      <div class="plots">${limits.filter((pool) => pool.kind === "limit").map((pool) => html`<${EndpointCalls} key=${pool.name} pool=${pool.name} from=${dataset.began} to=${dataset.ended} />`)}</div>
    <//>`;
}
