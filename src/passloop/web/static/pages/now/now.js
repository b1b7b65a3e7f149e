// The home page: where a person looks first. What runs where, what waits and why, what failed last, what is free.
import { countText } from "../../base/amounts.js";
import { touches } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine } from "../../base/plain.js";
import { link } from "../../base/route.js";
import { Counts } from "../../parts/counts.js";
import { Empty } from "../../parts/empty.js";
import { Loaded } from "../../parts/loaded.js";
import { Failures } from "./failures.js";
import { NowPools } from "./now_pools.js";
import { Running } from "./running.js";
import { TimelinePanel } from "./timeline_panel.js";
import { Waiting } from "./waiting.js";

export function Page({ route }) {
  const now = useLive("/now", { limit: 40 }, { concerns: (event) => touches(event, "tasks", "devices", "pools", "engine", "sources") });
  return html`
    <div class="head"><h1>Now</h1><${Engine} of=${now.data} /></div>
    <${TimelinePanel} params=${route.params} />
    <${Loaded} of=${now} lines=${8}>${(data) => html`<${Body} data=${data} />`}<//>
  `;
}

function Engine({ of }) {
  if (!of) return null;
  const { state } = of.engine;
  return html`<span class=${state === "running" ? "soft" : "odd"}>
    engine ${oneLine(state)} · ${countText(Object.values(of.counts).reduce((sum, one) => sum + one, 0))} tasks in all
  </span>`;
}

function Body({ data }) {
  const any = Object.keys(data.counts).length > 0;
  if (!any) return html`<${FirstSteps} data=${data} />`;
  return html`
    <div class="head"><${Counts} counts=${data.counts} meter=${false} /></div>
    <div class="now-grid">
      <div>
        <${Running} tasks=${data.running} counts=${data.counts} gpus=${data.gpus} />
        <${Failures} tasks=${data.failures} />
      </div>
      <div>
        <${Waiting} tasks=${data.waiting} counts=${data.counts} />
        <${NowPools} data=${data} />
      </div>
    </div>
  `;
}

function FirstSteps({ data }) {
  return html`<section class="panel">
    <${Empty} command="passloop submit -g 1 -- python train.py">
      Nothing was submitted yet. <a href=${link(["new"])}>Start a command or a spec</a> here, or on the command line:
    <//>
  </section><${NowPools} data=${data} />`;
}
