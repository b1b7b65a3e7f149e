// What can be done to the tasks that are picked, or to all that the filter finds.
import { reprioritise } from "../../base/acts.js";
import { countOf, countText } from "../../base/amounts.js";
import { html, useState } from "../../base/html.js";
import { ActsBar } from "../../parts/acts_bar.js";
import { Dialog } from "../../parts/dialog.js";

const ALL = ["cancel", "retry", "hold", "release", "rm"];

export function Bulk({ picked, total, all, setAll, clear, selectors }) {
  const [asking, setAsking] = useState(false);
  const count = all ? total : picked.size;
  const select = all ? selectors : rangesOf([...picked]);
  const what = countOf(count, "task");
  return html`<div class="bulk" role="toolbar" aria-label="Picked tasks">
    <b>${countText(count)} picked</b>
    <${ActsBar} names=${ALL} select=${select} what=${what} done=${clear} />
    <button type="button" onClick=${() => setAsking(true)}>Priority</button>
    ${!all && total > picked.size && html`<button class="link" type="button" disabled=${selectors === null} onClick=${() => setAll(true)}
      title=${selectors === null ? "words cannot name tasks for an act: narrow by state, run or group instead" : ""}
    >all ${countText(total)} that are found</button>`}
    <button class="quiet" type="button" onClick=${clear}>none</button>
    ${asking && html`<${Priority} what=${what} onClose=${() => setAsking(false)} onYes=${(value) => reprioritise(select, value).then(clear)} />`}
  </div>`;
}

function Priority({ what, onClose, onYes }) {
  const [value, setValue] = useState("0");
  const good = /^-?\d{1,9}$/.test(value);
  const send = (event) => {
    event.preventDefault();
    onClose();
    onYes(Number(value));
  };
  return html`<${Dialog} title=${`Priority of ${what}`} onClose=${onClose}>
    <form class="bar" onSubmit=${send}>
      <input aria-label="Priority" value=${value} inputmode="numeric" autofocus onInput=${(event) => setValue(event.target.value)} />
      <button class="main" type="submit" disabled=${!good}>Set</button>
      <span class="soft">a whole number; higher goes first, usual is 0</span>
    </form>
  <//>`;
}

/** Ids as ranges, the fewest words for the request. */
export function rangesOf(ids) {
  const sorted = [...ids].sort((one, other) => one - other);
  const found = [];
  for (const id of sorted) {
    const last = found.at(-1);
    if (last && last[1] === id - 1) last[1] = id;
    else found.push([id, id]);
  }
  return found.map(([low, high]) => (low === high ? String(low) : `${low}-${high}`));
}
