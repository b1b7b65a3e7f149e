// Asks before something is done that cannot be undone, and says what it will touch.
import { html } from "../base/html.js";
import { Dialog } from "./dialog.js";

export function Ask({ title, children, word, onYes, onClose }) {
  const yes = () => {
    onClose();
    onYes();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    ${children}
    <div class="bar">
      <button class="main" type="button" autofocus onClick=${yes}>${word}</button>
      <button type="button" onClick=${onClose}>Leave it</button>
    </div>
  <//>`;
}
