// The dialog with the keys that do something on the page that is open.
import { html } from "../base/html.js";
import { keysNow } from "../base/keys.js";
import { Dialog } from "../parts/dialog.js";

export function Help({ open, onClose }) {
  if (!open) return null;
  const rows = [...new Map(keysNow().map((each) => [each.keys, each])).values()];
  return html`<${Dialog} title="Keys" onClose=${onClose}>
    <table class="keys">
      <tbody>
        ${rows.map(
          (each) => html`<tr>
            <td>${each.keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</td>
            <td>${each.does}</td>
          </tr>`,
        )}
      </tbody>
    </table>
    <p class="soft">
      Every view has an address of its own: copy it from the browser. The same is told by <code>passloop ls</code>,${" "}
      <code>passloop why ID</code> and <code>passloop top</code>.
    </p>
  <//>`;
}
