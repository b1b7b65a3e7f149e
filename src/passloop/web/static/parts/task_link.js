// A task by its number and its name, as a link to its page.
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";
import { link } from "../base/route.js";

/** What a task is called: its name, else its parameters, else its command. */
export function titleOf(task) {
  if (task.name) return oneLine(task.name);
  if (task.params && Object.keys(task.params).length) return paramsText(task.params);
  const command = Array.isArray(task.command) ? task.command.join(" ") : task.command;
  return oneLine(command || task.key || "");
}

/** Parameters in one line. */
export function paramsText(params) {
  return Object.entries(params || {}).map(([name, value]) => `${oneLine(name)}=${oneLine(value)}`).join(" ");
}

export function TaskLink({ task, named = true }) {
  return html`<a href=${link(["tasks", String(task.id)])} title=${named ? titleOf(task) : ""}>
    <span class="mono">${task.id}</span>${named && html` <bdi>${titleOf(task)}</bdi>`}
  </a>`;
}

/** A run by its name. */
export function RunLink({ run }) {
  return html`<a href=${link(["runs", String(run.id)])}><bdi>${oneLine(run.name)}</bdi></a>`;
}

/** Task numbers, each a link; of many the first ones. */
export function TaskNumbers({ ids, most = 6 }) {
  return html`<span>
    ${ids.slice(0, most).map((id, place) => html`${place > 0 && ", "}<a class="mono" href=${link(["tasks", String(id)])}>${id}</a>`)}
    ${ids.length > most && ` and ${ids.length - most} more`}
  </span>`;
}
