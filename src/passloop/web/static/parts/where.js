// Where a task runs or ran: its devices by their numbers, of a call the pool of its model, else the machine's CPUs.
import { html } from "../base/html.js";
import { oneLine } from "../base/plain.js";

const OF_THE_MACHINE = ["cpu", "memory", "disk"];

/** `places` has the number of each device. */
export function Where({ task, places }) {
  if (task.gpus?.length) return `GPU ${task.gpus.map((uuid) => places.get(uuid) ?? uuid.slice(0, 12)).join(", ")}`;
  if (!task.attempt) return "";
  const pool = (task.pools || []).find((name) => !OF_THE_MACHINE.includes(name));
  return html`<span class="soft" title=${pool && oneLine(pool)}>${pool ? oneLine(pool).split("/").at(-1) : "CPU"}</span>`;
}
