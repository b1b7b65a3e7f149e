// One task: what it asks for, why it waits, its attempts, its output as it comes, what its devices did, its results.
import { act, actsFor } from "../../base/acts.js";
import { names } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useKeys } from "../../base/keys.js";
import { useLive } from "../../base/live.js";
import { go, link, wholeNumber } from "../../base/route.js";
import { isFinal } from "../../base/states.js";
import { ActsBar } from "../../parts/acts_bar.js";
import { Command } from "../../parts/command.js";
import { Failure } from "../../parts/failure.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";
import { State } from "../../parts/state.js";
import { RunLink, titleOf } from "../../parts/task_link.js";
import { Attempts } from "./attempts.js";
import { Curves } from "./curves.js";
import { Environment } from "./environment.js";
import { Facts } from "./facts.js";
import { Files } from "./files.js";
import { Log } from "./log.js";
import { Results } from "./results.js";
import { WholeRow } from "./whole_row.js";
import { Why } from "./why.js";

export function Page({ task: id, params }) {
  const own = (event) => event === null || names(event, [id]);
  const found = useLive(id ? `/tasks/${id}` : null, {}, { concerns: own });
  if (!id) {
    return html`<${Failure} error=${{ message: "that is no task: tasks have numbers", hint: "passloop ls" }} />`;
  }
  return html`<${Loaded} of=${found} lines=${8}>${(data) => html`<${Body} task=${data.task} params=${params} />`}<//>`;
}

function Body({ task, params }) {
  const attempt = wholeNumber(params.get("attempt")) || task.attempt || null;
  const does = (name) => () => actsFor(task.state, task.held).includes(name) && act(name, [String(task.id)]).then(follow);
  const follow = (answer) => answer?.created?.length && go(link(["tasks", String(answer.created[0])]));
  useKeys([
    { keys: "r", does: "retry this task", act: does("retry") },
    { keys: "h", does: "hold this task", act: does("hold") },
    { keys: "u", does: "release this task", act: does("release") },
  ]);
  return html`
    <div class="head">
      <nav class="crumbs" aria-label="Where this is"><a href=${link(["tasks"])}>Tasks</a> / <${RunLink} run=${task.run} /></nav>
      <h1><span class="mono">${task.id}</span> <bdi>${titleOf(task)}</bdi></h1>
      <${State} of=${task.state} outcome=${task.outcome} />
      ${task.held && task.state !== "held" && html`<span title="No further attempt starts before it is released"><${State} of="held" /></span>`}
      <span class="bar push"><${ActsBar} names=${actsFor(task.state, task.held)} select=${[String(task.id)]} what=${`task ${task.id}`} done=${follow} /></span>
    </div>
    ${!isFinal(task.state) && html`<${Why} task=${task} />`}
    <div class="columns">
      <${Facts} task=${task} />
      <div>
        ${task.command.length > 0 && html`<${Panel} title="Command"><${Command} words=${task.command} /><//>`}
        <${Results} task=${task} end=${isCall(task) && html`<${WholeRow} task=${task} />`} />
        <${Attempts} task=${task} chosen=${attempt} />
      </div>
    </div>
    ${attempt !== null && !isCall(task) && html`
      <${Log} key=${`log${attempt}`} task=${task.id} attempt=${attempt} />
      <${Curves} key=${`curves${attempt}`} task=${task} attempt=${attempt} />
      <div class="columns"><${Files} key=${`files${attempt}`} task=${task} attempt=${attempt} /><${Environment} task=${task.id} /></div>
    `}
    ${attempt === null && html`<${Environment} task=${task.id} />`}
  `;
}

/** A call is made by the engine itself: it has no output, files or devices, but what was asked and answered. */
const isCall = (task) => task.attempts.some((one) => one.driver === "calls");
