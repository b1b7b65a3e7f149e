// What the devices did over the last hours, whoever used them.
import { html, useEffect, useMemo, useState } from "../../base/html.js";
import { get } from "../../base/api.js";
import { useNow } from "../../base/watch.js";
import { Curve } from "../../parts/curve.js";
import { Panel } from "../../parts/panel.js";

const SPANS = [["15 min", 900_000], ["1 h", 3_600_000], ["6 h", 21_600_000], ["1 day", 86_400_000]];
const KINDS = [
  { of: "utilisation", title: "Utilisation", unit: "%", most: 100 },
  { of: "memory_mib", title: "Memory in use", unit: "GiB", by: 1024 },
  { of: "power_w", title: "Power", unit: "W" },
];

export function DeviceCurves({ gpus }) {
  const [span, setSpan] = useState(SPANS[1][1]);
  const minute = Math.floor(useNow(10_000) / 10_000) * 10_000;
  const [found, setFound] = useState([]);
  const uuids = gpus.map((gpu) => gpu.uuid).join(" ");
  useEffect(() => {
    const abort = new AbortController();
    const ask = (uuid) => get(`/gpus/${encodeURIComponent(uuid)}/curves`, { from: minute - span, to: minute }, { signal: abort.signal });
    const [first, ...rest] = uuids.split(" ");
    const all = async () => [await ask(first), ...(await Promise.all(rest.map(ask)))];
    all().then(setFound, () => {});
    return () => abort.abort();
  }, [uuids, span, minute]);
  const kinds = useMemo(() => KINDS.map((kind) => ({ ...kind, lines: linesOf(found, gpus, kind) })).filter((kind) => kind.lines.length), [found]);
  if (!kinds.length) return null;
  const choice = SPANS.map(([words, ms]) => html`<button key=${ms} class="chip" type="button" aria-pressed=${String(ms === span)} onClick=${() => setSpan(ms)}>${words}</button>`);
  return html`<${Panel} title="Over time" end=${html`<span class="chips">${choice}</span>`} bare>
    <div class="plots">${kinds.map((kind) => html`<${Curve} key=${kind.of} title=${kind.title} unit=${kind.unit} most=${kind.most} lines=${kind.lines} />`)}</div>
  <//>`;
}

function linesOf(found, gpus, kind) {
  const names = new Map(gpus.map((gpu) => [gpu.uuid, `GPU ${gpu.index}`]));
  return found.map((device) => ({
    name: names.get(device.uuid) || device.uuid, at: device.at || [],
    values: (device[kind.of] || []).map((value) => (value === null ? null : value / (kind.by || 1))),
  })).filter((line) => line.at.length > 1 && line.values.some((value) => value !== null));
}
