// The states of tasks, in the order of a task's life, and how each is marked. The words are those of the glossary.

export const STATES = [
  "waiting", "held", "backoff", "ready", "admitted", "running", "stopping",
  "succeeded", "failed", "cancelled", "aborted", "rejected",
];
export const FINAL = ["succeeded", "failed", "cancelled", "aborted", "rejected"];
export const UNDER_WAY = ["admitted", "running", "stopping"];
export const YET_TO_START = ["waiting", "held", "backoff", "ready"];
export const ENDED_BADLY = ["failed", "aborted", "rejected"];

const TONES = {
  succeeded: "good", success: "good", running: "busy", admitted: "busy", stopping: "odd",
  failed: "bad", failure: "bad", aborted: "bad", rejected: "bad", device_fault: "bad", lost: "bad",
  timeout: "odd", out_of_memory: "odd", rate_limited: "odd", held: "held", backoff: "odd",
};

/** The tone of a state or an outcome: good, bad, odd, busy, held or calm. */
export const toneOf = (word) => TONES[word] || "calm";

/** Whether a state is final. */
export const isFinal = (state) => FINAL.includes(state);
