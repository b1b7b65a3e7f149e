// Every try at a task: where it ran, how long, how it ended. The one that is chosen is the one whose output is shown.
import { cpusText, sizeText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { oneLine, plain } from "../../base/plain.js";
import { change } from "../../base/route.js";
import { Empty } from "../../parts/empty.js";
import { Grid } from "../../parts/grid.js";
import { Lasting, beginOf } from "../../parts/lasting.js";
import { Moment } from "../../parts/moment.js";
import { Panel } from "../../parts/panel.js";
import { State } from "../../parts/state.js";

export function Attempts({ task, chosen }) {
  const choose = (attempt) => change({ attempt: attempt === task.attempt ? null : attempt });
  const columns = [
    { name: "attempt", title: "#", of: (one) => html`<button class="link mono" type="button" aria-pressed=${String(one.attempt === chosen)} onClick=${() => choose(one.attempt)}>${one.attempt}</button>` },
    { name: "state", title: "How", of: (one) => html`<${State} of=${one.outcome || one.state} />` },
    { name: "started", title: "Started", of: (one) => html`<${Moment} at=${one.started_at} />` },
    { name: "took", title: "Took", number: true, of: (one) => html`<${Lasting} from=${beginOf(one)} to=${beginOf(one) ? one.ended_at : null} />` },
    { name: "held", title: "Held", wrap: true, of: (one) => heldText(one) },
    { name: "pid", title: "Pid", number: true, of: (one) => one.pid ?? "" },
    { name: "message", title: "What it said", wrap: true, of: (one) => plain(one.message || endText(one)) },
  ];
  return html`<${Panel} title="Attempts" note=${task.attempts.length || ""} bare>
    ${task.attempts.length
      ? html`<${Grid} label="Attempts" columns=${columns} folds rows=${[...task.attempts].reverse()} keyOf=${(one) => one.attempt} classOf=${(one) => (one.attempt === chosen ? "picked" : "")} />`
      : html`<${Empty}>It has not been tried yet.<//>`}
  <//>`;
}

function heldText(one) {
  const parts = [];
  if (one.gpus.length) parts.push(`${one.gpus.length} GPU: ${one.gpus.map((uuid) => oneLine(uuid).replace(/^GPU-/, "").slice(0, 10)).join(", ")}`);
  if (one.cpus_milli) parts.push(`${cpusText(one.cpus_milli)} CPU`);
  if (one.mem_mib) parts.push(sizeText(one.mem_mib));
  for (const [pool, amount] of Object.entries(one.need || {})) parts.push(`${amount} ${oneLine(pool).split("/").at(-1)}`);
  return parts.join(", ");
}

function endText(one) {
  if (one.signal) return `signal ${one.signal}`;
  return one.exit_code === null ? "" : `exit code ${one.exit_code}`;
}
