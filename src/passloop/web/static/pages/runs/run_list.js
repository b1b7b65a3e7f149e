// All runs, newest first: what each is, and how far.
import { countText } from "../../base/amounts.js";
import { touches } from "../../base/events.js";
import { html, useState } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine } from "../../base/plain.js";
import { link } from "../../base/route.js";
import { STATES, isFinal, toneOf } from "../../base/states.js";
import { Empty } from "../../parts/empty.js";
import { Grid } from "../../parts/grid.js";
import { Loaded } from "../../parts/loaded.js";
import { Meter } from "../../parts/meter.js";
import { Moment } from "../../parts/moment.js";
import { RunLink } from "../../parts/task_link.js";

const PAGE = 100;
const KINDS = { run: "sweep", command: "command", bench: "bench", tune: "tune", generate: "generate" };

export function RunList() {
  const [limit, setLimit] = useState(PAGE);
  const found = useLive("/runs", { limit }, { concerns: (event) => event === null || touches(event, "tasks", "sources"), pause: 1000 });
  const columns = [
    { name: "run", title: "Run", of: (run) => html`<span class="mono soft">${run.id}</span> <${RunLink} run=${run} />` },
    { name: "kind", title: "Kind", of: (run) => kindOf(run) },
    { name: "group", title: "Group", of: (run) => html`<a href=${link(["tasks"], { group: run.group })}>${oneLine(run.group)}</a>` },
    { name: "at", title: "Submitted", of: (run) => html`<${Moment} at=${run.submitted_at} />` },
    { name: "tasks", title: "Tasks", number: true, of: (run) => countText(run.tasks + (run.source?.to_come || 0)) },
    { name: "how", title: "How far", grow: true, of: (run) => html`<${HowFar} run=${run} />` },
    { name: "told", title: "", of: (run) => standText(run) },
  ];
  return html`
    <div class="head"><h1>Runs</h1></div>
    <${Loaded} of=${found}>${(data) => html`<section class="panel" aria-label="Runs">
      ${data.runs.length
        ? html`<${Grid} folds label="Runs" columns=${columns} rows=${data.runs} keyOf=${(run) => run.id} />`
        : html`<${Empty} command="passloop submit sweep.yaml">Nothing was submitted yet. <a href=${link(["new"])}>Start something</a>, or on the command line:<//>`}
      ${data.runs.length >= limit && html`<div class="empty"><button type="button" onClick=${() => setLimit(limit + PAGE)}>Older runs</button></div>`}
    </section>`}<//>
  `;
}

/** The kind of a run in a word. */
export const kindOf = (run) => KINDS[run.kind] || "command";

function HowFar({ run }) {
  const order = ["succeeded", "failed", "aborted", "rejected", "cancelled", "running", "stopping", "admitted"];
  const whole = run.tasks + (run.source?.to_come || 0);
  const parts = order.filter((state) => run.counts[state]).map((state) => ({ value: run.counts[state], tone: toneOf(state), title: `${run.counts[state]} ${state}` }));
  return html`<${Meter} parts=${parts} whole=${whole} label=${standText(run)} />`;
}

const COMING = new Set(["open", "asked", "resting"]);

/** How a run stands, in words. */
export function standText(run) {
  const parts = STATES.filter((state) => run.counts[state]).map((state) => `${countText(run.counts[state])} ${state}`);
  if (run.source?.to_come) parts.push(`${countText(run.source.to_come)} to come`);
  return parts.join(", ") || (COMING.has(run.source?.state) ? "no tasks yet" : "no tasks");
}

/** Whether nothing of a run is left to do. */
export const isOver = (run) => Object.keys(run.counts).every(isFinal) && !run.source?.to_come;
