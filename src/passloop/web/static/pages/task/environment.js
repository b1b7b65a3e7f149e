// The environment a task gets, read only when it is asked for; values that look like secrets are never sent.
import { html, useState } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine, plain } from "../../base/plain.js";
import { Grid } from "../../parts/grid.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";

export function Environment({ task }) {
  const [open, setOpen] = useState(false);
  const [words, setWords] = useState("");
  const found = useLive(open ? `/tasks/${task}/environment` : null, {}, { concerns: () => false });
  const button = html`<button type="button" aria-expanded=${String(open)} onClick=${() => setOpen(!open)}>${open ? "Hide" : "Show"}</button>`;
  const columns = [
    { name: "name", title: "Name", mono: true, of: (one) => oneLine(one.name), sort: (one) => one.name },
    { name: "value", title: "Value", wrap: true, of: (one) => (one.value === null ? html`<span class="soft">kept back</span>` : html`<span class="mono">${plain(one.value)}</span>`) },
  ];
  return html`<${Panel} title="Environment" end=${button} bare>
    ${open && html`<${Loaded} of=${found}>${(data) => html`
      <div class="inside"><input type="search" aria-label="Look for" placeholder="look for" value=${words} onInput=${(event) => setWords(event.target.value)} /></div>
      <${Grid} label="Environment" columns=${columns} rows=${data.variables.filter((one) => `${one.name}=${one.value}`.toLowerCase().includes(words.toLowerCase()))} keyOf=${(one) => one.name} />
    `}<//>`}
  <//>`;
}
