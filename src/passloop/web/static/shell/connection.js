// Whether what is shown is live. Where it is not, since when, and what would help.
import { connection } from "../base/events.js";
import { html, useEffect, useState } from "../base/html.js";
import { useSignal } from "../base/signal.js";
import { momentText } from "../base/times.js";

const WORDS = { live: "live", connecting: "connecting", lost: "reconnecting" };

export function Connection() {
  const state = useSignal(connection);
  const [since, setSince] = useState(null);
  useEffect(() => setSince(state === "lost" ? (old) => old ?? Date.now() : null), [state]);
  const told = state === "lost" && since ? `last news ${momentText(since)}` : "";
  const title = state === "live" ? "Events arrive as they happen" : "The engine does not answer; start it with: passloop up";
  return html`<span class="connection ${state}" role="status" title=${title}>
    <span class="lamp" aria-hidden="true"></span><span>${WORDS[state]}</span>
    ${told && html`<span class="since">${told}</span>`}
  </span>`;
}
