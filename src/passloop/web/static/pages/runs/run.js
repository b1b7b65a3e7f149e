// One run: how it stands, what can be done to all of it, and the view of its kind.
import { touches } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine, plain } from "../../base/plain.js";
import { link } from "../../base/route.js";
import { ENDED_BADLY, isFinal } from "../../base/states.js";
import { ActsBar } from "../../parts/acts_bar.js";
import { Blockers } from "../../parts/blockers.js";
import { Counts } from "../../parts/counts.js";
import { lazy } from "../../parts/lazy.js";
import { Loaded } from "../../parts/loaded.js";
import { Moment } from "../../parts/moment.js";
import { kindOf } from "./run_list.js";

const VIEWS = {
  bench: lazy(() => import("./bench/bench.js")),
  tune: lazy(() => import("./tune/tune.js")),
  generate: lazy(() => import("./generate/generate.js")),
};
const SWEEP = lazy(() => import("./sweep/sweep.js"));

export function RunPage({ name, rest, params }) {
  const found = useLive(`/runs/${encodeURIComponent(name)}`, {}, { concerns: (event) => event === null || touches(event, "tasks", "sources") });
  return html`<${Loaded} of=${found} lines=${8}>${(data) => html`<${Body} run=${data.run} rest=${rest} params=${params} />`}<//>`;
}

function Body({ run, rest, params }) {
  const view = VIEWS[run.kind] || SWEEP;
  return html`
    <div class="head">
      <nav class="crumbs" aria-label="Where this is"><a href=${link(["runs"])}>Runs</a> / ${kindOf(run)}
        ${rest.length > 0 && html` / <a href=${link(["runs", String(run.id)])}>${oneLine(run.name)}</a>`}</nav>
      <h1><bdi>${oneLine(run.name)}</bdi></h1>
      <span class="soft">run <span class="mono">${run.id}</span> · submitted <${Moment} at=${run.submitted_at} /></span>
      <span class="bar push"><${ActsBar} names=${actsOf(run)} select=${[`@${run.id}`]} what=${`run ${run.name}`} /></span>
    </div>
    ${!rest.length && html`<section class="panel" aria-label="How it stands"><div class="inside">
      <${Counts} counts=${run.counts} filter=${{ run: String(run.id) }} toCome=${run.source?.to_come || 0} />
      ${run.source?.message && html`<p class="odd">${plain(run.source.message)}</p>`}
      ${run.source?.blockers?.length > 0 && html`<${Blockers} blockers=${run.source.blockers} />`}
    </div></section>`}
    <${view} run=${run} rest=${rest} params=${params} />
  `;
}

/** What can be done to a run: what means something for at least one of its tasks. */
function actsOf(run) {
  const states = Object.keys(run.counts);
  const live = states.some((state) => !isFinal(state)) || run.source?.to_come;
  const names = [];
  if (states.some((state) => [...ENDED_BADLY, "cancelled"].includes(state))) names.push("retry");
  if (states.includes("held") || run.source?.held) names.push("release");
  if (states.some((state) => ["waiting", "ready", "backoff"].includes(state))) names.push("hold");
  if (live) names.push("cancel");
  return names;
}
