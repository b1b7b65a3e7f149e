// What people do to tasks, and what is said afterwards. Each act is one request; the answer names what changed.
import { countOf } from "./amounts.js";
import { post } from "./api.js";
import { say } from "./messages.js";

/** The acts by name: path, word for the button, word for what happened, and whether it asks first. */
export const ACTS = {
  cancel: { path: "/tasks/cancel", word: "Cancel", done: "cancelled", asks: true },
  retry: { path: "/tasks/retry", word: "Retry", done: "retried", asks: false },
  hold: { path: "/tasks/hold", word: "Hold", done: "held", asks: false },
  release: { path: "/tasks/release", word: "Release", done: "released", asks: false },
  rm: { path: "/tasks/rm", word: "Remove", done: "removed", asks: true },
};

const LIVE = ["waiting", "held", "backoff", "ready", "admitted", "running", "stopping"];

/** The acts that mean something for a task in this state; one that is under way is `held` if it is not tried again. */
export function actsFor(state, held = false) {
  if (state === "held") return ["release", "cancel"];
  if (["waiting", "backoff", "ready"].includes(state)) return ["hold", "cancel"];
  if (LIVE.includes(state)) return [...(held ? ["release"] : []), ...(state === "stopping" ? [] : ["cancel"])];
  return state === "succeeded" ? ["rm"] : ["retry", "rm"];
}

/** Do an act to the tasks that selectors name. Says what became of it; the answer, or null after a refusal. */
export async function act(name, select, more = {}) {
  const { path, done } = ACTS[name];
  return told(() => post(path, { select, ...more }), (answer) => sentence(answer, done));
}

/** Give tasks another priority. */
export function reprioritise(select, priority) {
  return told(
    () => post("/tasks/priority", { select, priority }),
    (answer) => sentence(answer, `given priority ${priority}`),
  );
}

/** Do a request; say what it answered or why it was refused. */
export async function told(ask, sentenceOf) {
  try {
    const answer = await ask();
    say(sentenceOf(answer));
    return answer;
  } catch (error) {
    say(error.message, { bad: true, hint: error.hint });
    return null;
  }
}

function sentence(answer, done) {
  const changed = answer.created?.length || answer.changed?.length || 0;
  const left = answer.unchanged || [];
  const sources = answer.sources?.length ? `, ${countOf(answer.sources.length, "source")}` : "";
  const first = `${countOf(changed, "task")}${sources} ${done}`;
  return left.length ? `${first}; ${left.length} left as they were: ${left[0].reason}` : first;
}
