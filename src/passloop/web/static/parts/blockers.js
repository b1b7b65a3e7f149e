// Why a task does not run: each reason in one sentence, with when it may change and who holds what it waits for.
import { html } from "../base/html.js";
import { plain } from "../base/plain.js";
import { Countdown } from "./countdown.js";
import { TaskNumbers } from "./task_link.js";

export function Blockers({ blockers, holders = false }) {
  if (!blockers.length) return html`<span class="soft">nothing keeps it: it starts with the next turn</span>`;
  return html`<ul>
    ${blockers.map(
      (each) => html`<li class="reason">
        ${plain(each.sentence)}
        ${each.until && html` <span class="soft">(<${Countdown} to=${each.until} before="next change in " over="changing now" />)</span>`}
        ${holders && each.holders?.length > 0 && html` <span>· held by <${TaskNumbers} ids=${each.holders} /></span>`}
      </li>`,
    )}
  </ul>`;
}
