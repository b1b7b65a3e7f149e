// The fields of the filter: words, states with their counts, order; and what else narrows the list, to be taken away.
import { countText } from "../../base/amounts.js";
import { html, useEffect, useRef, useState } from "../../base/html.js";
import { useKeys } from "../../base/keys.js";
import { oneLine } from "../../base/plain.js";
import { STATES, toneOf } from "../../base/states.js";
import { clearFilter, isFiltered, setFilter } from "./filter.js";

const SORTS = [["newest", "newest first"], ["oldest", "oldest first"], ["priority", "by priority"], ["ended", "ended last"]];
const TYPED_MS = 40;

export function FilterBar({ filter, states }) {
  const chosen = filter.state || [];
  const toggle = (state) => {
    const next = chosen.includes(state) ? chosen.filter((each) => each !== state) : [...chosen, state];
    setFilter({ state: next });
  };
  const shown = STATES.filter((state) => states[state] || chosen.includes(state));
  return html`<div class="filter" role="search">
    <${Words} value=${filter.text || ""} />
    <label class="hidden" for="sort">Order</label>
    <select id="sort" value=${filter.sort || "newest"} onChange=${(event) => setFilter({ sort: event.target.value === "newest" ? null : event.target.value })}>
      ${SORTS.map(([name, words]) => html`<option value=${name}>${words}</option>`)}
    </select>
    ${isFiltered(filter) && html`<button type="button" onClick=${clearFilter}>Clear</button>`}
    <span class="chips" role="group" aria-label="States">
      ${shown.map(
        (state) => html`<button key=${state} class="chip" type="button" aria-pressed=${String(chosen.includes(state))} onClick=${() => toggle(state)}>
          <span class=${`tag ${toneOf(state)}`}>${state}</span> <b>${countText(states[state] || 0)}</b>
        </button>`,
      )}
      <${Others} filter=${filter} />
    </span>
  </div>`;
}

/** What came with a link and has no field of its own here. */
function Others({ filter }) {
  const found = ["run", "class", "select", "group"].flatMap((name) => (filter[name] || []).map((value) => [name, value]));
  if (filter.key) found.push(["key", filter.key]);
  const drop = (name, value) => setFilter({ [name]: name === "key" ? null : filter[name].filter((each) => each !== value) });
  return found.map(
    ([name, value]) => html`<button key=${name + value} class="chip" type="button" aria-pressed="true" title="Take it away" onClick=${() => drop(name, value)}>
      ${name}: ${oneLine(value)} ✕
    </button>`,
  );
}

function Words({ value }) {
  const ref = useRef(null);
  const [typed, setTyped] = useState(value);
  const timer = useRef(0);
  useKeys([{ keys: "/", does: "look for words", act: () => ref.current.focus() }]);
  useEffect(() => {
    if (document.activeElement !== ref.current) setTyped(value);
  }, [value]);
  const type = (event) => {
    const text = event.target.value;
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setFilter({ text: text.trim() || null }), TYPED_MS);
  };
  const leave = (event) => event.key === "Escape" && ref.current.blur();
  return html`<input ref=${ref} type="search" aria-label="Words in name, key, command or message" placeholder="words in name, key, command, message   ( / )"
    value=${typed} onInput=${type} onKeyDown=${leave} autocomplete="off" spellcheck="false" />`;
}
