// What objectives, limits and trials are called.
import { numberText } from "../../../base/amounts.js";
import { oneLine } from "../../../base/plain.js";
import { link } from "../../../base/route.js";

const TONES = { complete: "good", running: "busy", failed: "bad", rejected: "bad", infeasible: "odd", pruned: "calm", cancelled: "calm", queued: "calm" };

/** An objective in words, with its unit and the way that is better. */
export function objectiveText(objective) {
  const stat = objective.stat && objective.stat !== "mean" ? ` ${objective.stat}` : "";
  const at = objective.at ? ` at ${oneLine(objective.at)}` : "";
  return `${oneLine(objective.metric.replaceAll("_", " "))}${stat}${at}${objective.unit ? ` (${objective.unit})` : ""}`;
}

export const isMaximised = (objective) => objective.direction === "maximize";

/** A limit in words. */
export function limitText(slo) {
  const stat = slo.stat && slo.stat !== "mean" ? ` ${slo.stat}` : "";
  const bound = slo.most !== null && slo.most !== undefined ? `at most ${numberText(slo.most)}` : `at least ${numberText(slo.least)}`;
  return `${oneLine(slo.metric.replaceAll("_", " "))}${stat} ${bound}${slo.unit ? ` ${slo.unit}` : ""}${slo.at ? ` at ${oneLine(slo.at)}` : ""}`;
}

/** The state of a trial in a word: measured but over a limit is infeasible. */
export function trialState(trial) {
  if (trial.status === "complete" && trial.feasible === false) return "infeasible";
  return trial.status || trial.state;
}

export const trialTone = (trial) => TONES[trialState(trial)] || "calm";

export const trialLink = (run, trial) => link(["runs", String(run.id), "trial", String(trial)]);
