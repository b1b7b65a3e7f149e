// Why a task does not run yet, with who holds what it waits for.
import { touches } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { UNDER_WAY } from "../../base/states.js";
import { Blockers } from "../../parts/blockers.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";

export function Why({ task }) {
  const waits = !UNDER_WAY.includes(task.state);
  const found = useLive(waits ? `/tasks/${task.id}/why` : null, {}, {
    concerns: (event) => event === null || touches(event, "tasks", "devices", "pools", "engine"),
  });
  if (!waits) return null;
  return html`<${Panel} title="Why it does not run">
    <${Loaded} of=${found}>${(data) => html`<${Blockers} blockers=${data.blockers} holders />`}<//>
  <//>`;
}
