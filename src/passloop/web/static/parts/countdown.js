// The time that is left until a moment.
import { html } from "../base/html.js";
import { millis, spanText, wholeText } from "../base/times.js";
import { useNow } from "../base/watch.js";

export function Countdown({ to, before = "in ", over = "now" }) {
  const now = useNow(500);
  const left = Math.ceil((millis(to) - now) / 1000) * 1000;
  return html`<span title=${wholeText(to)}>${left > 0 ? `${before}${spanText(left)}` : over}</span>`;
}
