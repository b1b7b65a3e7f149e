// How long something took, or takes so far: it counts on as long as there is no end.
import { html } from "../base/html.js";
import { millis, spanText } from "../base/times.js";
import { useNow } from "../base/watch.js";

/** When a task or attempt began; a call that was answered at once was never told to have started, and did when it was admitted. */
export const beginOf = (one) => one?.started_at || (one?.outcome === "success" ? one.admitted_at : null);

export function Lasting({ from, to }) {
  const start = millis(from);
  if (start === null) return html`<span class="soft">–</span>`;
  const end = millis(to);
  return end === null ? html`<${Counting} from=${start} />` : html`<span>${spanText(end - start)}</span>`;
}

function Counting({ from }) {
  const now = useNow(1000);
  return html`<span>${now - from < 1000 ? "now" : spanText(Math.floor((now - from) / 1000) * 1000)}</span>`;
}
