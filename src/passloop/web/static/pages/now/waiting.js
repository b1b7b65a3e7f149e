// What waits, first what comes first, each with the sentence that says why.
import { countText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { link } from "../../base/route.js";
import { YET_TO_START } from "../../base/states.js";
import { Blockers } from "../../parts/blockers.js";
import { Empty } from "../../parts/empty.js";
import { Panel } from "../../parts/panel.js";
import { State } from "../../parts/state.js";
import { RunLink, TaskLink } from "../../parts/task_link.js";

export function Waiting({ tasks, counts }) {
  const all = YET_TO_START.reduce((sum, state) => sum + (counts[state] || 0), 0);
  const end = all > tasks.length && html`<a href=${link(["tasks"], { state: YET_TO_START, sort: "priority" })}>all ${countText(all)}</a>`;
  return html`<${Panel} title="Waiting" note=${countText(all)} end=${end} bare>
    ${tasks.length ? html`<div>${alike(tasks).map((some) => html`<${Row} key=${some[0].id} tasks=${some} />`)}</div>` : html`<${Empty}>Nothing waits.<//>`}
  <//>`;
}

/** Neighbours of one run that wait for the same are told once. */
function alike(tasks) {
  const reason = (task) => JSON.stringify([task.run.id, task.state, task.blockers.map((each) => each.sentence)]);
  const found = [];
  for (const task of tasks) {
    const last = found.at(-1);
    if (last && reason(last[0]) === reason(task)) last.push(task);
    else found.push([task]);
  }
  return found;
}

function Row({ tasks }) {
  const [task] = tasks;
  return html`<div class="two-lines">
    <div class="first">
      <span class="name cut"><${TaskLink} task=${task} /></span>
      ${tasks.length > 1 && html`<span class="soft cut more">and ${tasks.length - 1} more of <${RunLink} run=${task.run} /></span>`}
      <span class="end"><${State} of=${task.state} /></span>
    </div>
    <div class="second"><${Blockers} blockers=${task.blockers} /></div>
  </div>`;
}
