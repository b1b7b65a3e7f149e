// What the devices of an attempt did while it ran: how busy, how much memory, how much power.
import { names } from "../../base/events.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { Curve } from "../../parts/curve.js";
import { Panel } from "../../parts/panel.js";

const KINDS = [
  { of: "utilisation", title: "Utilisation", unit: "%", most: 100 },
  { of: "memory_mib", title: "Memory in use", unit: "GiB", by: 1024 },
  { of: "power_w", title: "Power", unit: "W" },
];

export function Curves({ task, attempt }) {
  const found = useLive(task.gpus.length ? `/tasks/${task.id}/curves` : null, { attempt }, {
    concerns: (event) => event === null || names(event, [task.id]), pause: 5000,
  });
  const devices = (found.data?.devices || []).filter((device) => device.at.length > 1);
  if (!devices.length) return null;
  return html`<${Panel} title="Devices while it ran" bare>
    <div class="plots">
      ${KINDS.map((kind) => html`<${Curve} key=${kind.of} title=${kind.title} unit=${kind.unit} most=${kind.most} lines=${linesOf(devices, kind)} />`)}
    </div>
  <//>`;
}

function linesOf(devices, kind) {
  return devices.map((device) => ({
    name: device.uuid.replace(/^GPU-/, "").slice(0, 12),
    at: device.at,
    values: (device[kind.of] || []).map((value) => (value === null ? null : value / (kind.by || 1))),
  })).filter((line) => line.values.some((value) => value !== null));
}
