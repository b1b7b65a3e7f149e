// One field of a form with its words and what is wrong with it.
import { html } from "../base/html.js";

export function Field({ label, note, wrong, children }) {
  return html`<label class="field">
    <span>${label}</span>
    ${children}
    ${wrong ? html`<small class="bad">${wrong}</small>` : note && html`<small>${note}</small>`}
  </label>`;
}
