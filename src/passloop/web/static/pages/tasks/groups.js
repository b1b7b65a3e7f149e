// Groups as a tree by the slashes in their names; a press narrows the list to a group and what is below it.
import { countText } from "../../base/amounts.js";
import { told } from "../../base/acts.js";
import { post } from "../../base/api.js";
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine } from "../../base/plain.js";
import { FINAL } from "../../base/states.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";
import { setFilter } from "./filter.js";

export function Groups({ chosen }) {
  const found = useLive("/groups", {}, { pause: 2000 });
  return html`<aside>
    <${Panel} title="Groups">
      <${Loaded} of=${found}>${(data) => html`<${Tree} groups=${data.groups} chosen=${chosen} />`}<//>
    <//>
  </aside>`;
}

function Tree({ groups, chosen }) {
  const top = treeOf(groups);
  const none = chosen.length === 0;
  return html`<div class="tree">
    <button type="button" aria-pressed=${String(none)} onClick=${() => setFilter({ group: null })}>all groups</button>
    <${Level} nodes=${top} chosen=${chosen} />
    ${chosen.length === 1 && html`<${HoldGroup} name=${chosen[0]} held=${groups.some((each) => each.name === chosen[0] && each.held)} />`}
  </div>`;
}

function Level({ nodes, chosen }) {
  return html`<ul>
    ${nodes.map((node) => html`<li key=${node.path}>
      <button type="button" aria-pressed=${String(chosen.includes(node.path))} onClick=${() => setFilter({ group: node.path })}>
        <span class="cut">${oneLine(node.name)}</span>
        ${node.held && html`<small class="held">held</small>`}
        <span class="count" title="not final / all">${node.live > 0 ? `${countText(node.live)} / ` : ""}${countText(node.all)}</span>
      </button>
      ${node.below.length > 0 && html`<${Level} nodes=${node.below} chosen=${chosen} />`}
    </li>`)}
  </ul>`;
}

function HoldGroup({ name, held }) {
  const verb = held ? "release" : "hold";
  const press = () => told(() => post(`/groups/${encodeURIComponent(name)}/${verb}`), () => `group ${name}: ${held ? "released" : "held"}`);
  return html`<p><button type="button" onClick=${press}>${held ? "Release" : "Hold"} this group</button></p>`;
}

/** Nodes `{name, path, live, all, held, below}`; numbers are those of a node and all below it. */
function treeOf(groups) {
  const root = { below: [] };
  for (const group of groups) {
    let at = root;
    const path = [];
    for (const name of group.name.split("/")) {
      path.push(name);
      const own = path.join("/");
      let next = at.below.find((each) => each.path === own);
      if (!next) {
        next = { name, path: own, live: 0, all: 0, held: false, below: [] };
        at.below.push(next);
      }
      for (const [state, count] of Object.entries(group.counts)) {
        next.all += count;
        if (!FINAL.includes(state)) next.live += count;
      }
      at = next;
    }
    at.held = group.held;
  }
  return root.below;
}
