// What is wrong with a spec, each with its place; or what it would do: how much, for how long, at what cost, and what can
// never fit.
import { html } from "../../base/html.js";
import { plain } from "../../base/plain.js";
import { Empty } from "../../parts/empty.js";
import { Panel } from "../../parts/panel.js";

export function SpecPlan({ asked, refused, empty, goTo }) {
  if (empty) return html`<${Panel} title="Plan"><${Empty}>Write a spec, or begin with one: its plan is shown here.<//><//>`;
  const problems = refused?.problems || asked.answer?.problems;
  return html`<${Panel} title=${problems ? "To be mended" : "Plan"} note=${asked.asking ? "asking" : ""}>
    ${refused && html`<div class="problem bad" role="alert">${plain(refused.message)}<small>${plain(refused.hint)}</small></div>`}
    ${asked.error && html`<div class="problem bad" role="alert">${plain(asked.error.message)}<small>${plain(asked.error.hint)}</small></div>`}
    <div role="status">${problems?.map((problem, place) => html`<${Problem} key=${place} problem=${problem} goTo=${goTo} />`)}</div>
    ${asked.answer?.valid && html`<pre class="plan">${plain(asked.answer.text)}</pre>`}
  <//>`;
}

function Problem({ problem, goTo }) {
  const place = problem.line ? `line ${problem.line}${problem.column ? `, column ${problem.column}` : ""}` : problem.where;
  return html`<div class="problem">
    ${problem.line ? html`<button class="link" type="button" onClick=${() => goTo(problem.line, problem.column)}>${place}</button>` : html`<span class="soft">${plain(place || "")}</span>`}
    <div class="bad">${plain(problem.what)}</div>
    <small>${plain(problem.fix || "")}</small>
  </div>`;
}
