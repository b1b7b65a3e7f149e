// What a command would become: how many tasks, what each asks for, how many of them at once and why no more.
import { countOf, countText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { commandText, plain } from "../../base/plain.js";
import { Command } from "../../parts/command.js";
import { Empty } from "../../parts/empty.js";
import { Panel } from "../../parts/panel.js";
import { variantText } from "../task/facts.js";

export function CommandPlan({ words, asked, options, onMost }) {
  if (!words.length) return html`<${Panel} title="Plan"><${Empty}>Type a command: what it would become is shown here.<//><//>`;
  return html`<${Panel} title="Plan" note=${asked.asking ? "asking" : ""}>
    ${asked.error && html`<div class="problem bad" role="alert">${plain(asked.error.message)}<small>${plain(asked.error.hint)}</small></div>`}
    ${asked.answer && html`<${Told} plan=${asked.answer} onMost=${onMost} />`}
    <h3>The same on the command line</h3>
    <${Command} text=${lineOf(words, options)} />
    ${options.max_parallel && html`<p class="soft">How many run at once is limited from here only.</p>`}
  <//>`;
}

function Told({ plan, onMost }) {
  const { fits } = plan;
  const tasks = Array.isArray(plan.tasks) ? plan.tasks.length : plan.tasks;
  return html`
    ${plan.never_fits && html`<div class="problem bad" role="alert">It can never fit here: ${plain(plan.never_fits)}</div>`}
    <dl class="facts">
      <dt>Tasks</dt><dd>${countText(tasks)}</dd>
      <dt>Each asks for</dt><dd>${(plan.request || []).map((variant, place) => html`<div>${place > 0 && "or "}${variantText(variant)}</div>`)}</dd>
      ${fits && !plan.never_fits && html`<dt>At once</dt><dd>${fits.most === null || fits.most === undefined ? "" : html`from 1 to ${countText(fits.most)}; ${countText(fits.now)} now
        ${fits.most > 0 && html` <button class="link" type="button" onClick=${() => onMost(fits.most)}>take ${countOf(fits.most, "place")}</button>`}`}
        ${fits.sentence && html`<div class="soft">${plain(fits.sentence)}</div>`}</dd>`}
    </dl>
  `;
}

/** The command line that does the same. */
function lineOf(words, options) {
  const said = Object.entries(options).filter(([name]) => name !== "max_parallel").flatMap(([name, value]) => [`--${name.replaceAll("_", "-")}`, value]);
  return `passloop submit ${[commandText(said), "--", commandText(words)].filter(Boolean).join(" ")}`;
}
