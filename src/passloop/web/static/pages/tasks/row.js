// One task as a line of the list.
import { html } from "../../base/html.js";
import { oneLine } from "../../base/plain.js";
import { link } from "../../base/route.js";
import { Lasting, beginOf } from "../../parts/lasting.js";
import { Moment } from "../../parts/moment.js";
import { State } from "../../parts/state.js";
import { titleOf } from "../../parts/task_link.js";
import { Where } from "../../parts/where.js";

export const HEIGHT = 29;

export function HeadLine() {
  return html`<div class="line-head" aria-hidden="true">
    <span></span><span class="number">Task</span><span>Name</span><span>State</span><span>Run</span><span>Submitted</span><span class="number">Took</span><span>On</span><span class="number">Exit</span>
  </div>`;
}

export function Row({ task, picked, onPick, cursor, places }) {
  if (task === null) return html`<div class="line" aria-busy="true"><span></span><span class="blank"></span><span class="blank"></span></div>`;
  return html`<div class=${`line${picked ? " picked" : ""}${cursor ? " cursor" : ""}`} data-task=${task.id}>
    <input type="checkbox" aria-label=${`Pick task ${task.id}`} checked=${picked} onClick=${onPick} />
    <a class="mono number" href=${link(["tasks", String(task.id)])}>${task.id}</a>
    <a class="cut" href=${link(["tasks", String(task.id)])} title=${titleOf(task)}><bdi>${titleOf(task)}</bdi></a>
    <${State} of=${task.state} />
    <a class="cut" href=${link(["runs", String(task.run.id)])}><bdi>${oneLine(task.run.name)}</bdi></a>
    <${Moment} at=${task.submitted_at} />
    <span class="number"><${Lasting} from=${beginOf(task)} to=${task.ended_at} /></span>
    <span class="cut soft"><${Where} task=${task} places=${places} /></span>
    <span class="number">${task.exit_code ?? ""}</span>
  </div>`;
}
