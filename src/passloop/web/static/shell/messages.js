// What was said after an act.
import { html } from "../base/html.js";
import { messages, unsay } from "../base/messages.js";
import { plain } from "../base/plain.js";
import { useSignal } from "../base/signal.js";

export function Messages() {
  const all = useSignal(messages);
  return html`<div class="messages" role="status" aria-live="polite">
    ${all.map(
      (each) => html`<div key=${each.number} class=${each.bad ? "message bad" : "message"}>
        <span>${plain(each.text)}${each.hint && html`<small>${plain(each.hint)}</small>`}</span>
        <button class="quiet round" type="button" aria-label="Close" onClick=${() => unsay(each.number)}>✕</button>
      </div>`,
    )}
  </div>`;
}
