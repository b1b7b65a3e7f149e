// What an attempt left in its folder, each to be fetched.
import { bytesText } from "../../base/amounts.js";
import { query } from "../../base/api.js";
import { names } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine } from "../../base/plain.js";
import { Empty } from "../../parts/empty.js";
import { Grid } from "../../parts/grid.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";

export function Files({ task, attempt }) {
  const found = useLive(`/tasks/${task.id}/files`, { attempt }, { concerns: (event) => event === null || names(event, [task.id]) });
  const address = (name) => `/api/v1/tasks/${task.id}/files/${name.split("/").map(encodeURIComponent).join("/")}${query({ attempt })}`;
  const columns = [
    { name: "name", title: "Name", wrap: true, of: (file) => html`<a class="mono" href=${address(file.name)} download>${oneLine(file.name)}</a>`, sort: (file) => file.name },
    { name: "bytes", title: "Size", number: true, of: (file) => bytesText(file.bytes), sort: (file) => file.bytes },
  ];
  return html`<${Panel} title="Files" note="left in PASSLOOP_OUT" bare>
    <${Loaded} of=${found} lines=${2}>${(data) => data.files.length
      ? html`<${Grid} label="Files" columns=${columns} rows=${data.files} keyOf=${(file) => file.name} />`
      : html`<${Empty}>Nothing was left there.<//>`}<//>
  <//>`;
}
