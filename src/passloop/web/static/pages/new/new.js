// Something new: a command, or a spec of any kind. What it would do is shown before it is done.
import { html } from "../../base/html.js";
import { Tabs } from "../../parts/tabs.js";
import { CommandForm } from "./command_form.js";
import { SpecForm } from "./spec_form.js";

const TABS = [{ name: "command", title: "Command" }, { name: "spec", title: "Spec" }];

export function Page({ route }) {
  const view = route.params.get("view") === "spec" ? "spec" : "command";
  return html`
    <div class="head"><h1>New</h1><span class="soft">nothing is submitted before you press the button</span></div>
    <${Tabs} tabs=${TABS} now=${view} />
    ${view === "command" ? html`<${CommandForm} />` : html`<${SpecForm} />`}
  `;
}
