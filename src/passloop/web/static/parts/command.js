// A command as it would be typed, with a button that copies it.
import { html } from "../base/html.js";
import { say } from "../base/messages.js";
import { commandText, plain } from "../base/plain.js";

export function Command({ words, text }) {
  const shown = text === undefined ? commandText(words) : plain(text);
  const raw = text === undefined ? commandText(words) : text;
  const copy = () => navigator.clipboard.writeText(raw).then(() => say("copied"), () => say("the browser copied nothing", { bad: true }));
  return html`<div class="command">
    <code>${shown}</code>
    <button type="button" onClick=${copy}>Copy</button>
  </div>`;
}
