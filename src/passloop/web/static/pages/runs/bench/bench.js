// A matrix of benchmarks: scores and states as heat maps, what sparse attention costs and saves, and each cell.
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { Loaded } from "../../../parts/loaded.js";
import { Tabs } from "../../../parts/tabs.js";
import { BenchFailures } from "./bench_failures.js";
import { BenchPlots } from "./bench_plots.js";
import { Cell } from "./cell.js";
import { ScoreMap } from "./score_map.js";
import { StateMap } from "./state_map.js";

const TABS = [
  { name: "score", title: "Scores" }, { name: "state", title: "State" }, { name: "pareto", title: "Pareto" }, { name: "failures", title: "What failed" },
];

export function Page({ run, rest, params }) {
  const found = useLive(rest[0] === "cell" ? null : `/runs/${run.id}/bench`, {}, { concerns: (event) => event === null || touches(event, "tasks"), pause: 1500 });
  if (rest[0] === "cell") return html`<${Cell} run=${run} cell=${rest[1]} params=${params} />`;
  const view = TABS.some((tab) => tab.name === params.get("view")) ? params.get("view") : "score";
  return html`<${Loaded} of=${found} lines=${6}>${(bench) => html`
    <${Tabs} tabs=${TABS} now=${view} />
    ${view === "score" && html`<${ScoreMap} bench=${bench} run=${run} />`}
    ${view === "state" && html`<${StateMap} bench=${bench} run=${run} />`}
    ${view === "pareto" && html`<${BenchPlots} bench=${bench} run=${run} params=${params} />`}
    ${view === "failures" && html`<${BenchFailures} bench=${bench} run=${run} />`}
  `}<//>`;
}
