// What the devices of an attempt did while it ran: how busy, how much memory, how much power.
import { names } from "../../base/events.js";
import { html, useEffect, useMemo } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { millis } from "../../base/times.js";
import { useNow } from "../../base/watch.js";
import { Curve } from "../../parts/curve.js";
import { Panel } from "../../parts/panel.js";

const READ_MS = 10_000;
const KINDS = [
  { of: "utilisation", title: "Utilisation", unit: "%", most: 100 },
  { of: "memory_mib", title: "Memory in use", unit: "GiB", by: 1024 },
  { of: "power_w", title: "Power", unit: "W" },
];

export function Curves({ task, attempt }) {
  const found = useLive(task.gpus.length ? `/tasks/${task.id}/curves` : null, { attempt }, {
    concerns: (event) => event === null || names(event, [task.id]), pause: 5000,
  });
  // Readings of devices are no events: they come together, and the last ones after the end.
  const now = useNow(READ_MS);
  const over = task.ended_at !== null && now - millis(task.ended_at) > 3 * READ_MS;
  useEffect(() => {
    if (!over) found.reload();
  }, [now, over]);
  const kinds = useMemo(() => KINDS.map((kind) => ({ ...kind, lines: linesOf(found.data, kind) })).filter((kind) => kind.lines.length), [found.data]);
  if (!kinds.length) return null;
  return html`<${Panel} title="Devices while it ran" bare>
    <div class="plots">
      ${kinds.map((kind) => html`<${Curve} key=${kind.of} title=${kind.title} unit=${kind.unit} most=${kind.most} lines=${kind.lines} />`)}
    </div>
  <//>`;
}

function linesOf(data, kind) {
  return (data?.devices || []).filter((device) => device.at.length > 1).map((device) => ({
    name: device.uuid.replace(/^GPU-/, "").slice(0, 12),
    at: device.at,
    values: (device[kind.of] || []).map((value) => (value === null ? null : value / (kind.by || 1))),
  })).filter((line) => line.values.some((value) => value !== null));
}
