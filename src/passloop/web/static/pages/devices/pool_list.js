// Every pool: those of this machine, then each endpoint with its limits, its calls over the last hour, and opening by hand.
import { told } from "../../base/acts.js";
import { post } from "../../base/api.js";
import { html } from "../../base/html.js";
import { byName, isOfEndpoint, isOfRun, isTelling } from "../../base/pools.js";
import { EndpointCalls } from "../../parts/endpoint_calls.js";
import { Panel } from "../../parts/panel.js";
import { Pool } from "../../parts/pool.js";
import { Spend } from "./spend.js";

export function PoolList({ pools }) {
  const endpoints = pools.filter((pool) => isOfEndpoint(pool, pools)).sort(byName);
  const ofRuns = pools.filter((pool) => isOfRun(pool) && isTelling(pool));
  const own = pools.filter((pool) => !endpoints.includes(pool) && !isOfRun(pool));
  const limits = endpoints.filter((pool) => pool.kind === "limit");
  return html`
    <${Pools} title="This machine" pools=${own} />
    <${Pools} title="Limits of runs" note="at most so many of a run at once" pools=${ofRuns} />
    <${Pools} title="Endpoints" note="calls at once, requests and tokens a minute" pools=${endpoints} />
    ${endpoints.length > 0 && html`
      <${Panel} title="Calls of the last hour" bare><div class="plots">${limits.map((pool) => html`<${EndpointCalls} key=${pool.name} pool=${pool.name} />`)}</div><//>
      <${Spend} />
    `}
  `;
}

function Pools({ title, note, pools }) {
  if (!pools.length) return null;
  return html`<${Panel} title=${title} note=${note}>
    <div class="pools">${pools.map((pool) => html`<${Pool} key=${pool.name} pool=${pool} end=${html`<${Open} pool=${pool} />`} />`)}</div>
  <//>`;
}

function Open({ pool }) {
  if (pool.state === "open") return null;
  const press = () => told(() => post(`/pools/${encodeURIComponent(pool.name)}/open`), () => `${pool.name}: the next attempt tries it`);
  return html`<button class="link" type="button" onClick=${press}>Open now</button>`;
}
