// Every pool: those of this machine, then each endpoint with its limits, its calls over the last hour, and opening by hand.
import { told } from "../../base/acts.js";
import { post } from "../../base/api.js";
import { html } from "../../base/html.js";
import { EndpointCalls } from "../../parts/endpoint_calls.js";
import { Panel } from "../../parts/panel.js";
import { Pool } from "../../parts/pool.js";
import { Spend } from "./spend.js";

export function PoolList({ pools }) {
  const called = new Set(pools.filter((pool) => isEndpoint(pool, pools)).map((pool) => pool.name));
  const rest = pools.filter((pool) => !called.has(pool.name));
  const own = rest.filter((pool) => pool.kind !== "limit");
  const ofRuns = rest.filter((pool) => pool.kind === "limit");
  const endpoints = pools.filter((pool) => called.has(pool.name));
  const limits = endpoints.filter((pool) => pool.kind === "limit");
  return html`
    ${own.length > 0 && html`<${Panel} title="This machine"><div class="pools">${own.map((pool) => html`<${Pool} key=${pool.name} pool=${pool} end=${html`<${Open} pool=${pool} />`} />`)}</div><//>`}
    ${ofRuns.length > 0 && html`<${Panel} title="Limits of runs" note="at most so many of a run at once"><div class="pools">${ofRuns.map((pool) => html`<${Pool} key=${pool.name} pool=${pool} end=${html`<${Open} pool=${pool} />`} />`)}</div><//>`}
    ${endpoints.length > 0 && html`
      <${Panel} title="Endpoints" note="calls at once, requests and tokens a minute"><div class="pools">${endpoints.map((pool) => html`<${Pool} key=${pool.name} pool=${pool} end=${html`<${Open} pool=${pool} />`} />`)}</div><//>
      <${Panel} title="Calls of the last hour" bare><div class="plots">${limits.map((pool) => html`<${EndpointCalls} key=${pool.name} pool=${pool.name} />`)}</div><//>
      <${Spend} />
    `}
  `;
}

/** An endpoint is a limit that is no other thing of this machine, with the rates that belong to it. */
function isEndpoint(pool, pools) {
  if (["cpu", "memory", "gpu"].includes(pool.name)) return false;
  if (pool.kind === "rate") return true;
  if (pool.kind !== "limit" || /^(parallel\/|trials:|leases-)/.test(pool.name)) return false;
  return /[/:]/.test(pool.name) || pools.some((each) => each.parent === pool.name);
}

function Open({ pool }) {
  if (pool.state === "open") return null;
  const press = () => told(() => post(`/pools/${encodeURIComponent(pool.name)}/open`), () => `${pool.name}: the next attempt tries it`);
  return html`<button class="link" type="button" onClick=${press}>Open now</button>`;
}
