// One row of a dataset: each column with what was asked, what was answered, and what it took.
import { countText } from "../../../base/amounts.js";
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { oneLine, plain } from "../../../base/plain.js";
import { link } from "../../../base/route.js";
import { spanText } from "../../../base/times.js";
import { Failure } from "../../../parts/failure.js";
import { Loaded } from "../../../parts/loaded.js";
import { Panel } from "../../../parts/panel.js";
import { State } from "../../../parts/state.js";

export function OneRow({ run, row }) {
  const found = useLive(row === null ? null : `/runs/${run.id}/generate/rows/${row}`, {}, { concerns: (event) => event === null || touches(event, "tasks"), pause: 2000 });
  if (row === null) return html`<${Failure} error=${{ message: "that is no row: rows have numbers, from 0 on" }} />`;
  const to = (which) => link(["runs", String(run.id), "row", String(which)]);
  return html`
    <div class="head"><h2>Row ${countText(row)}</h2><span class="bar push">${row > 0 && html`<a href=${to(row - 1)}>row before</a>`}<a href=${to(row + 1)}>next row</a></span></div>
    <${Loaded} of=${found} lines=${6}>${(data) => html`
      <p>${data.status}${data.reason ? `: ${plain(data.reason)}` : ""}</p>
      <${Made} columns=${data.columns.filter((column) => !column.prompt)} />
      ${data.columns.filter((column) => column.prompt).map((column) => html`<${Column} key=${column.name} column=${column} />`)}
    `}<//>
  `;
}

/** What nobody was asked for: drawn, read or computed. */
function Made({ columns }) {
  if (!columns.length) return null;
  return html`<${Panel} title="Drawn, read and computed"><dl class="facts">
    ${columns.map((column) => html`<dt key=${column.name}>${oneLine(column.name)}</dt><dd>${textOf(column.value)} <small class="soft">${column.kind}</small></dd>`)}
  </dl><//>`;
}

function Column({ column }) {
  const note = [column.kind, column.tokens && `${countText(column.tokens[0])} tokens in, ${countText(column.tokens[1])} out`,
    column.refusals > 0 && `${column.refusals} answers did not fit the schema`].filter(Boolean).join(" · ");
  const end = column.task && html`<${State} of=${column.state} /> <a class="mono" href=${link(["tasks", String(column.task)])}>${column.task}</a>`;
  return html`<${Panel} title=${oneLine(column.name)} note=${note} end=${end}>
    ${turnsOf(column.prompt).map((turn) => html`<div class="turn"><h3>${oneLine(turn.role)}</h3><pre>${textOf(turn.content)}</pre></div>`)}
    ${column.said && html`<div class="turn said"><h3>answered</h3><pre>${textOf(column.said)}</pre></div>`}
    ${(!column.said || textOf(column.said) !== textOf(column.value)) && html`<div class="turn said"><h3>value</h3><pre>${textOf(column.value)}</pre></div>`}
    ${(column.attempts || []).filter((one) => one.outcome !== "success").map((one) => html`<p class="soft">${one.outcome || "under way"}${one.ms !== null ? ` after ${spanText(one.ms)}` : ""}: ${plain(one.message || "")}</p>`)}
  <//>`;
}

/** A prompt as turns: it may be one text, or messages. */
function turnsOf(prompt) {
  if (prompt === undefined || prompt === null) return [];
  if (Array.isArray(prompt)) return prompt.map((turn) => ({ role: turn.role || "prompt", content: turn.content ?? turn }));
  return [{ role: "prompt", content: prompt }];
}

const textOf = (value) => (value === null || value === undefined ? "–" : plain(typeof value === "string" ? value : JSON.stringify(value, null, 1)));
