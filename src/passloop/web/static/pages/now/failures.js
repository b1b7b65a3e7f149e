// What failed last: what it was, how it ended, and one press to try again.
import { act } from "../../base/acts.js";
import { html } from "../../base/html.js";
import { plain } from "../../base/plain.js";
import { link } from "../../base/route.js";
import { ENDED_BADLY } from "../../base/states.js";
import { Empty } from "../../parts/empty.js";
import { Moment } from "../../parts/moment.js";
import { Panel } from "../../parts/panel.js";
import { State } from "../../parts/state.js";
import { TaskLink } from "../../parts/task_link.js";

const MOST = 10;

export function Failures({ tasks: failures }) {
  const tasks = failures.slice(0, MOST);
  const end = tasks.length > 0 && html`<a href=${link(["tasks"], { state: ENDED_BADLY, sort: "ended" })}>all</a>`;
  return html`<${Panel} title="Failed last" end=${end} bare>
    ${tasks.length ? html`<div>${tasks.map((task) => html`<${Row} key=${task.id} task=${task} />`)}</div>` : html`<${Empty}>Nothing has failed.<//>`}
  <//>`;
}

function Row({ task }) {
  const told = task.message || (task.exit_code === null ? task.outcome : `exit code ${task.exit_code}`);
  return html`<div class="two-lines">
    <div class="first">
      <span class="name cut"><${TaskLink} task=${task} /></span>
      <span class="end"><${Moment} at=${task.ended_at} /></span>
    </div>
    <div class="first">
      <${State} of=${task.state} outcome=${task.outcome} />
      <span class="second">${plain(told || "")}</span>
      <span class="end">
        ${task.retried_by
          ? html`retried by <a class="mono" href=${link(["tasks", String(task.retried_by)])}>${task.retried_by}</a>`
          : html`<button class="link" type="button" onClick=${() => act("retry", [String(task.id)])}>Retry</button>`}
      </span>
    </div>
  </div>`;
}
