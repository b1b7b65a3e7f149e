// A study of serving parameters: trials as they come, the best so far and its command, the front, load curves, and how
// parameters and objectives hang together.
import { touches } from "../../../base/events.js";
import { html } from "../../../base/html.js";
import { useLive } from "../../../base/live.js";
import { Loaded } from "../../../parts/loaded.js";
import { Tabs } from "../../../parts/tabs.js";
import { Best } from "./best.js";
import { LoadCurves } from "./load_curves.js";
import { Trial } from "./trial.js";
import { Trials } from "./trials.js";
import { TunePlots } from "./tune_plots.js";

const TABS = [{ name: "trials", title: "Trials" }, { name: "front", title: "Pareto" }, { name: "load", title: "Load curves" }, { name: "all", title: "Parameters" }];

export function Page({ run, rest, params }) {
  const found = useLive(rest[0] === "trial" ? null : `/runs/${run.id}/tune`, {}, { concerns: (event) => event === null || touches(event, "tasks", "sources"), pause: 1000 });
  if (rest[0] === "trial") return html`<${Trial} run=${run} trial=${rest[1]} />`;
  const view = TABS.some((tab) => tab.name === params.get("view")) ? params.get("view") : "trials";
  return html`<${Loaded} of=${found} lines=${6}>${(study) => html`
    <${Best} study=${study} run=${run} />
    <${Tabs} tabs=${TABS} now=${view} />
    ${view === "trials" && html`<${Trials} study=${study} run=${run} />`}
    ${view === "front" && html`<${TunePlots} study=${study} run=${run} params=${params} />`}
    ${view === "load" && html`<${LoadCurves} study=${study} params=${params} />`}
    ${view === "all" && html`<${TunePlots} study=${study} run=${run} params=${params} parallel />`}
  `}<//>`;
}
