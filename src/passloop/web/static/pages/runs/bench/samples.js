// The samples of a cell, page by page: what was expected, what was answered, and how it was scored.
import { countText, numberText } from "../../../base/amounts.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { oneLine, plain } from "../../../base/plain.js";
import { change, wholeNumber } from "../../../base/route.js";
import { Empty } from "../../../parts/empty.js";
import { Loaded } from "../../../parts/loaded.js";
import { Pager } from "../../../parts/pager.js";
import { Panel } from "../../../parts/panel.js";

const PAGE = 20;
const FIRST = ["sample", "score", "reference", "answer"];

export function Samples({ run, cell, params }) {
  const offset = wholeNumber(params.get("from")) || 0;
  const found = useLive(`/runs/${run.id}/bench/${encodeURIComponent(cell)}/samples`, { offset, limit: PAGE }, { pause: 4000 });
  return html`<${Panel} title="Samples" note=${found.data ? countText(found.data.total) : ""} bare
    end=${found.data && html`<${Pager} offset=${offset} page=${PAGE} total=${found.data.total} go=${(from) => change({ from: from || null }, { replace: false })} />`}>
    <${Loaded} of=${found}>${(data) => data.samples.length
      ? data.samples.map((sample, place) => html`<${Sample} key=${`${offset}-${place}`} sample=${sample} />`)
      : html`<${Empty}>No sample was answered yet.<//>`}<//>
  <//>`;
}

function Sample({ sample }) {
  const rest = Object.entries(sample).filter(([name, value]) => !FIRST.includes(name) && value !== null && value !== undefined);
  const tone = typeof sample.score !== "number" ? "" : sample.score >= 1 ? "good" : sample.score <= 0 ? "bad" : "odd";
  return html`<div class="two-lines">
    <div class="first"><span class="mono">${oneLine(sample.sample)}</span>${sample.score !== undefined && html`<span class=${`tag ${tone}`}>${numberText(sample.score)}</span>`}</div>
    ${sample.reference !== undefined && html`<div class="turn"><h3>expected</h3><pre>${textOf(sample.reference)}</pre></div>`}
    ${sample.answer !== undefined && html`<div class="turn said"><h3>answered</h3><pre>${textOf(sample.answer)}</pre></div>`}
    ${rest.length > 0 && html`<details><summary class="soft">${rest.map(([name]) => oneLine(name)).join(", ")}</summary>
      ${rest.map(([name, value]) => html`<div class="turn"><h3>${oneLine(name)}</h3><pre>${textOf(value)}</pre></div>`)}</details>`}
  </div>`;
}

const textOf = (value) => plain(typeof value === "string" ? value : JSON.stringify(value, null, 1));
