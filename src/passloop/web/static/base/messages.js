// What the page says after an act, for some seconds; what went wrong stays until it is closed.
import { signal } from "./signal.js";

const SECONDS = 5;

export const messages = signal([]);
let number = 0;

/** Say a sentence. One that is bad news stays. */
export function say(text, { bad = false, hint = "" } = {}) {
  number += 1;
  const own = { number, text, bad, hint };
  messages.set([...messages.get().slice(-3), own]);
  if (!bad) setTimeout(() => unsay(own.number), SECONDS * 1000);
}

/** Take a sentence away. */
export function unsay(which) {
  messages.set(messages.get().filter((each) => each.number !== which));
}
