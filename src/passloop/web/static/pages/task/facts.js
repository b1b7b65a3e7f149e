// What a task asks for and what it is allowed: every field that was given, and what is so when nothing was said.
import { countText, cpusText, sizeText } from "../../base/amounts.js";
import { html } from "../../base/html.js";
import { oneLine } from "../../base/plain.js";
import { link } from "../../base/route.js";
import { spanText } from "../../base/times.js";
import { Lasting, beginOf } from "../../parts/lasting.js";
import { Moment } from "../../parts/moment.js";
import { Panel } from "../../parts/panel.js";
import { TaskNumbers, paramsText } from "../../parts/task_link.js";

export function Facts({ task }) {
  const rows = [
    ["Asks for", task.request.map((variant, place) => html`<div>${place > 0 && html`<span class="soft">or </span>`}${variantText(variant)}</div>`)],
    task.message && ["Message", oneLine(task.message)],
    ["Submitted", html`<${Moment} at=${task.submitted_at} />`],
    ["Started", html`<${Moment} at=${task.started_at || beginOf(task.attempts.at(-1))} />`],
    ["Took", html`<${Lasting} from=${task.started_at || beginOf(task.attempts.at(-1))} to=${task.ended_at} />`],
    task.exit_code !== null && ["Exit code", String(task.exit_code)],
    task.params && Object.keys(task.params).length > 0 && ["Parameters", paramsText(task.params)],
    ["Group", html`<a href=${link(["tasks"], { group: task.group })}>${oneLine(task.group)}</a>`],
    task.key && ["Key", html`<span class="mono">${oneLine(task.key)}</span>`],
    ["Priority", String(task.priority)],
    [...task.after, ...task.after_any].length > 0 && ["After", html`<${After} task=${task} />`],
    ["Time limit", task.time_limit_ms === null ? "none" : `${spanText(task.time_limit_ms)}, then ${spanText(task.grace_ms)} grace`],
    ["Retries", retriesText(task.retries)],
    (task.retry_of || task.retried_by) && ["Retry", html`<${Retry} task=${task} />`],
    ["Runs in", html`<span class="mono">${oneLine(task.cwd || "–")}</span>`],
    task.directory && ["Files in", html`<span class="mono">${oneLine(task.directory)}</span>`],
  ].filter(Boolean);
  return html`<${Panel} title="Task">
    <dl class="facts">${rows.map(([name, value]) => html`<dt key=${name}>${name}</dt><dd>${value}</dd>`)}</dl>
  <//>`;
}

/** One acceptable form of a request in words. */
export function variantText(variant) {
  const parts = [];
  if (variant.gpus) parts.push(`${variant.gpus} GPU${variant.gpus > 1 ? "s" : ""}${variant.vram_mib ? ` of ${sizeText(variant.vram_mib)}` : ""}`);
  if (variant.cpus_milli) parts.push(`${cpusText(variant.cpus_milli)} CPU`);
  if (variant.mem_mib) parts.push(`${sizeText(variant.mem_mib)} memory`);
  for (const [pool, amount] of Object.entries(variant.need || {})) parts.push(`${countText(amount)} of ${oneLine(pool)}`);
  return parts.join(", ") || "nothing that is counted";
}

function retriesText(retries) {
  const parts = Object.entries(retries || {}).filter(([, count]) => count > 0).map(([name, count]) => `${count} after ${name.replaceAll("_", " ")}`);
  return parts.join(", ") || "none";
}

function After({ task }) {
  return html`${task.after.length > 0 && html`<div>success of <${TaskNumbers} ids=${task.after} /></div>`}
    ${task.after_any.length > 0 && html`<div>the end of <${TaskNumbers} ids=${task.after_any} /></div>`}`;
}

function Retry({ task }) {
  return html`${task.retry_of && html`<div>of <${TaskNumbers} ids=${[task.retry_of]} /></div>`}
    ${task.retried_by && html`<div>by <${TaskNumbers} ids=${[task.retried_by]} /></div>`}`;
}
