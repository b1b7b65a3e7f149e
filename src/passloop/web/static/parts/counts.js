// How many tasks are in which state, as one bar and in words; each word leads to these tasks.
import { countText } from "../base/amounts.js";
import { html } from "../base/html.js";
import { link } from "../base/route.js";
import { STATES, toneOf } from "../base/states.js";
import { Meter } from "./meter.js";

export function Counts({ counts, filter = {}, meter = true, toCome = 0 }) {
  const there = STATES.filter((state) => counts[state]);
  const whole = there.reduce((sum, state) => sum + counts[state], 0) + (toCome || 0);
  const order = ["succeeded", "failed", "aborted", "rejected", "cancelled", "running", "admitted", "stopping"];
  const parts = [...order.filter((state) => counts[state])].map((state) => ({
    value: counts[state],
    tone: toneOf(state),
    title: `${countText(counts[state])} ${state}`,
  }));
  const told = there.map((state) => `${countText(counts[state])} ${state}`).join(", ");
  return html`<div>
    ${meter && html`<${Meter} parts=${parts} whole=${whole} label=${told} />`}
    <div class="chips counts">
      ${there.map(
        (state) => html`<a class="chip" href=${link(["tasks"], { ...filter, state })}>
          <span class=${`tag ${toneOf(state)}`}>${state}</span> <b>${countText(counts[state])}</b>
        </a>`,
      )}
      ${toCome > 0 && html`<span class="chip soft">to come <b>${countText(toCome)}</b></span>`}
    </div>
  </div>`;
}
