// A dataset under way: its columns as a graph with their rates, its endpoints with limits and 429s, its rows, its cost.
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { wholeNumber } from "../../../base/route.js";
import { Loaded } from "../../../parts/loaded.js";
import { Tabs } from "../../../parts/tabs.js";
import { Columns } from "./columns.js";
import { Endpoints } from "./endpoints.js";
import { Figures } from "./figures.js";
import { Graph } from "./graph.js";
import { OneRow } from "./one_row.js";
import { Rows } from "./rows.js";

const TABS = [{ name: "columns", title: "Columns" }, { name: "rows", title: "Rows" }, { name: "endpoints", title: "Endpoints" }];

export function Page({ run, rest, params }) {
  const found = useLive(rest[0] === "row" ? null : `/runs/${run.id}/generate`, {}, { concerns: (event) => event === null || touches(event, "tasks", "pools", "sources"), pause: 1000 });
  if (rest[0] === "row") return html`<${OneRow} run=${run} row=${wholeNumber(rest[1])} />`;
  const view = TABS.some((tab) => tab.name === params.get("view")) ? params.get("view") : "columns";
  return html`<${Loaded} of=${found} lines=${6}>${(dataset) => html`
    <${Figures} dataset=${dataset} />
    <${Tabs} tabs=${TABS} now=${view} />
    ${view === "columns" && html`<${Graph} columns=${dataset.columns} rows=${dataset.rows} /><${Columns} dataset=${dataset} />`}
    ${view === "rows" && html`<${Rows} run=${run} params=${params} dataset=${dataset} />`}
    ${view === "endpoints" && html`<${Endpoints} dataset=${dataset} />`}
  `}<//>`;
}
