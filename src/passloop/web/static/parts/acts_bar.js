// Buttons for what can be done to some tasks. What cannot be undone is asked about first.
import { ACTS, act } from "../base/acts.js";
import { html, useState } from "../base/html.js";
import { Ask } from "./ask.js";

/** `select` are selectors, `what` says in words which tasks these are, `done(answer)` is told afterwards. */
export function ActsBar({ names, select, what, done = () => {} }) {
  const [asked, setAsked] = useState(null);
  const go = (name) => act(name, select).then((answer) => answer && done(answer));
  const press = (name) => (ACTS[name].asks ? setAsked(name) : go(name));
  return html`
    ${names.map((name) => html`<button key=${name} type="button" class=${ACTS[name].asks ? "danger" : ""} onClick=${() => press(name)}>
      ${ACTS[name].word}
    </button>`)}
    ${asked && html`<${Ask}
      title=${`${ACTS[asked].word} ${what}?`} word=${ACTS[asked].word} onYes=${() => go(asked)} onClose=${() => setAsked(null)}
    >
      <p>${asked === "rm" ? "Their logs and results are deleted for good." : "What runs is ended after its grace; a cancelled task can be retried."}</p>
    <//>`}
  `;
}
