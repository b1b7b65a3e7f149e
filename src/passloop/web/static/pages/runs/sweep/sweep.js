// A sweep, or a run of commands: its results as a table, cells compared, plots of what was measured.
import { countOf } from "../../../base/amounts.js";
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { Loaded } from "../../../parts/loaded.js";
import { Panel } from "../../../parts/panel.js";
import { Tabs } from "../../../parts/tabs.js";
import { CompareCells } from "./compare_cells.js";
import { SweepPlots } from "./sweep_plots.js";
import { SweepTable } from "./sweep_table.js";

const MOST = 1000;
const TABS = [{ name: "results", title: "Results" }, { name: "compare", title: "Compare" }, { name: "plots", title: "Plots" }];

export function Page({ run, params }) {
  const found = useLive(`/runs/${run.id}/sweep`, { limit: MOST }, { concerns: (event) => event === null || touches(event, "tasks"), pause: 1500 });
  const view = params.get("view") || "results";
  return html`<${Loaded} of=${found} lines=${6}>${(sweep) => {
    const measured = sweep.metrics.length > 0;
    const tabs = measured ? TABS : TABS.slice(0, 1);
    const now = tabs.some((tab) => tab.name === view) ? view : "results";
    return html`
      ${tabs.length > 1 && html`<${Tabs} tabs=${tabs} now=${now} />`}
      ${sweep.total > sweep.rows.length && html`<p class="soft">The first ${countOf(sweep.rows.length, "task")} of ${sweep.total}; all of them: <code>passloop export ${run.id}</code></p>`}
      ${now === "results" && html`<${Panel} bare label="Results"><${SweepTable} sweep=${sweep} /><//>`}
      ${now === "compare" && html`<${CompareCells} sweep=${sweep} />`}
      ${now === "plots" && html`<${SweepPlots} sweep=${sweep} params=${params} />`}
    `;
  }}<//>`;
}
