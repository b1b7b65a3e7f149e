// What failed in a matrix, gathered by reason, so that one cause of many cells is seen once.
import { countOf } from "../../../base/amounts.js";
import { act } from "../../../base/acts.js";
import { html } from "../../../base/html.js";
import { oneLine, plain } from "../../../base/plain.js";
import { Empty } from "../../../parts/empty.js";
import { Panel } from "../../../parts/panel.js";
import { TaskNumbers } from "../../../parts/task_link.js";
import { cellLink } from "./columns.js";

export function BenchFailures({ bench, run }) {
  const bad = bench.cells.filter((cell) => !["done", "ready", "running", "waiting", "admitted", "held", "backoff", "missing", "stopping"].includes(cell.status));
  const groups = new Map();
  for (const cell of bad) {
    const name = `${cell.class || cell.status}\n${cell.message || ""}`;
    groups.set(name, [...(groups.get(name) || []), cell]);
  }
  if (!bad.length) return html`<section class="panel"><${Empty}>Nothing has failed.<//></section>`;
  return html`<${Panel} title="What failed" note=${countOf(bad.length, "cell")} bare>
    ${[...groups.values()].sort((one, other) => other.length - one.length).map((cells) => html`<${Reason} key=${cells[0].cell} cells=${cells} run=${run} />`)}
  <//>`;
}

function Reason({ cells, run }) {
  const [cell] = cells;
  const tasks = cells.map((each) => each.task).filter(Boolean);
  return html`<div class="two-lines">
    <div class="first"><span class="name bad">${oneLine(cell.class || cell.status)}</span><span class="soft">${countOf(cells.length, "cell")}</span>
      ${tasks.length > 0 && html`<span class="end"><button class="link" type="button" onClick=${() => act("retry", tasks.map(String))}>Retry</button></span>`}</div>
    <div class="second">${plain(cell.message || "")}</div>
    <div class="second">${cells.slice(0, 8).map((each, place) => html`${place > 0 && ", "}<a href=${cellLink(run, each.cell)}>${oneLine(`${each.model} ${each.sparse_attention} ${each.benchmark} ${each.subset ?? ""}`)}</a>`)}
      ${cells.length > 8 && ` and ${cells.length - 8} more`}${tasks.length > 0 && html` · tasks <${TaskNumbers} ids=${tasks} />`}</div>
  </div>`;
}
