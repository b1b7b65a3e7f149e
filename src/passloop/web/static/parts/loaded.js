// A document that is being read, was refused, or is here: one place that decides which of the three is shown.
import { html } from "../base/html.js";
import { Failure } from "./failure.js";

/** `children` is a function of the data. What was read before stays while the engine cannot be reached. */
export function Loaded({ of, children, lines = 3 }) {
  if (of.data) return children(of.data);
  if (of.error) return html`<${Failure} error=${of.error} again=${of.reload} />`;
  return html`<div class="loading" role="progressbar" aria-label="Loading">
    ${Array.from({ length: lines }, () => html`<span class="bone"></span>`)}
  </div>`;
}
