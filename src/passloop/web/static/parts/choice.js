// A choice that stands in the address: its words, and one of some `{name, title}`.
import { html } from "../base/html.js";
import { change } from "../base/route.js";

export function Choice({ name, words, all, now }) {
  return html`<label class="chips"><span class="soft">${words}</span>
    <select value=${now} onChange=${(event) => change({ [name]: event.target.value })}>${all.map((each) => html`<option key=${each.name} value=${each.name}>${each.title}</option>`)}</select>
  </label>`;
}
