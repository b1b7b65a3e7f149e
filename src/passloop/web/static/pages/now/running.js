// What runs now: where, since when, and how far it is by what is known of its kind.
import { countText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { link } from "../../base/route.js";
import { UNDER_WAY } from "../../base/states.js";
import { millis, spanText } from "../../base/times.js";
import { useNow } from "../../base/watch.js";
import { Empty } from "../../parts/empty.js";
import { Grid } from "../../parts/grid.js";
import { Lasting } from "../../parts/lasting.js";
import { Meter } from "../../parts/meter.js";
import { Panel } from "../../parts/panel.js";
import { State } from "../../parts/state.js";
import { RunLink, TaskLink } from "../../parts/task_link.js";
import { Where } from "../../parts/where.js";

const MOST = 14;

export function Running({ tasks: running, counts, gpus }) {
  const tasks = [...running].sort((one, other) => (other.gpus?.length || 0) - (one.gpus?.length || 0)).slice(0, MOST);
  const all = UNDER_WAY.reduce((sum, state) => sum + (counts[state] || 0), 0);
  const places = new Map(gpus.map((gpu) => [gpu.uuid, gpu.index]));
  const columns = [
    { name: "task", title: "Task", grow: true, of: (task) => html`<${TaskLink} task=${task} />` },
    { name: "run", title: "Run", of: (task) => html`<${RunLink} run=${task.run} />` },
    { name: "state", title: "State", of: (task) => html`<${State} of=${task.state} />` },
    { name: "where", title: "On", of: (task) => html`<${Where} task=${task} places=${places} />` },
    { name: "for", title: "For", number: true, of: (task) => html`<${Lasting} from=${task.started_at} />` },
    { name: "left", title: "Of about", of: (task) => html`<${Progress} task=${task} />` },
  ];
  const more = all > tasks.length && html`<a href=${link(["tasks"], { state: UNDER_WAY })}>all ${countText(all)}</a>`;
  return html`<${Panel} title="Running" note=${countText(all)} end=${more} bare>
    ${tasks.length
      ? html`<${Grid} folds label="Running tasks" columns=${columns} rows=${tasks} keyOf=${(task) => task.id} />`
      : html`<${Empty}>Nothing runs.<//>`}
  <//>`;
}

/** How far it may be: by the learned time of its kind, else by its limit. */
function Progress({ task }) {
  const now = useNow(1000);
  const start = millis(task.started_at);
  const limit = task.until ? millis(task.until) - start : null;
  const whole = task.expected_ms ?? limit;
  if (!start || !whole) return html`<span class="soft">not known yet</span>`;
  const gone = Math.max(0, now - start);
  const kind = task.expected_ms ? "usual time" : "time limit";
  const title = `${spanText(gone)} of ${spanText(whole)} (${kind})`;
  return html`<span title=${title}>
    <${Meter} whole=${whole} label=${title} parts=${[{ value: Math.min(gone, whole), tone: gone > whole ? "odd" : "busy", title }]} />
    <small class="soft">${spanText(whole)} ${kind}</small>
  </span>`;
}
