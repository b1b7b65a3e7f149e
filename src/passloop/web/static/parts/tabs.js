// One of several views; which one stands in the address, so that it can be sent on.
import { html } from "../base/html.js";
import { change } from "../base/route.js";

/** `tabs` are `{name, title}`; `now` is the name of the one shown. */
export function Tabs({ tabs, now, param = "view" }) {
  const choose = (name) => change({ [param]: name === tabs[0].name ? null : name });
  const step = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const place = tabs.findIndex((tab) => tab.name === now);
    choose(tabs[(place + by + tabs.length) % tabs.length].name);
    event.currentTarget.children[(place + by + tabs.length) % tabs.length].focus();
  };
  return html`<div class="tabs" role="tablist" onKeyDown=${step}>
    ${tabs.map(
      (tab) => html`<button
        type="button" role="tab" aria-selected=${String(tab.name === now)} tabindex=${tab.name === now ? 0 : -1}
        onClick=${() => choose(tab.name)}
      >${tab.title}</button>`,
    )}
  </div>`;
}
