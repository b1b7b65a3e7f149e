// A state or an outcome as a word with its mark. What is not final yet has an open mark, unless it runs.
import { html } from "../base/html.js";
import { STATES, UNDER_WAY, isFinal, toneOf } from "../base/states.js";

export function State({ of, outcome }) {
  const open = STATES.includes(of) && !isFinal(of) && !UNDER_WAY.includes(of);
  const told = outcome && !["success", "failure", "cancelled"].includes(outcome) ? `${of}: ${outcome}` : of;
  return html`<span class=${`tag ${toneOf(of)}${open ? " open" : ""}`}>${told}</span>`;
}
