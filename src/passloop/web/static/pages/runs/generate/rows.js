// The rows of a dataset, page by page; each leads to its prompts and answers.
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { touches } from "../../../base/events.js";
import { oneLine, plain } from "../../../base/plain.js";
import { change, link, wholeNumber } from "../../../base/route.js";
import { Empty } from "../../../parts/empty.js";
import { Grid } from "../../../parts/grid.js";
import { Loaded } from "../../../parts/loaded.js";
import { Pager } from "../../../parts/pager.js";
import { Panel } from "../../../parts/panel.js";

const PAGE = 50;
const LONGEST = 160;
const TONES = { kept: "good", dropped: "calm", incomplete: "bad", open: "busy" };

export function Rows({ run, params }) {
  const offset = wholeNumber(params.get("from")) || 0;
  const found = useLive(`/runs/${run.id}/generate/rows`, { offset, limit: PAGE }, { concerns: (event) => event === null || touches(event, "tasks"), pause: 3000 });
  const go = (from) => change({ from: from || null }, { replace: false });
  return html`<${Panel} title="Rows" bare end=${found.data && html`<${Pager} offset=${offset} page=${PAGE} total=${found.data.total} go=${go} />`}>
    <${Loaded} of=${found}>${(data) => data.rows.length
      ? html`<${Grid} label="Rows" columns=${columnsOf(data.rows, run)} rows=${data.rows} keyOf=${(row) => row.row} />`
      : html`<${Empty}>No row is there yet.<//>`}<//>
  <//>`;
}

function columnsOf(rows, run) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.values || {})))];
  return [
    { name: "row", title: "Row", of: (row) => html`<a class="mono" href=${link(["runs", String(run.id), "row", String(row.row)])}>${row.row}</a>` },
    { name: "status", title: "Status", of: (row) => html`<span class=${`tag ${TONES[row.status] || "calm"}`} title=${plain(row.reason || "")}>${row.status}</span>` },
    ...names.map((name) => ({ name: `value ${name}`, title: oneLine(name), wrap: rows.some((row) => String(row.values?.[name] ?? "").length > 24), of: (row) => short(row.values?.[name]) })),
  ];
}

function short(value) {
  if (value === null || value === undefined) return html`<span class="soft">–</span>`;
  const text = plain(typeof value === "string" ? value : JSON.stringify(value));
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
