// How much time the time line shows, and where that stands in the address.
import { change, wholeNumber } from "../../base/route.js";

export const SPANS = [
  ["1m", 60_000, "1 min"], ["5m", 300_000, "5 min"], ["15m", 900_000, "15 min"], ["1h", 3_600_000, "1 h"],
  ["6h", 21_600_000, "6 h"], ["1d", 86_400_000, "1 day"], ["7d", 604_800_000, "7 days"],
];
const USUAL = 3_600_000;
const LEAST = SPANS[0][1];
const MOST = SPANS.at(-1)[1];

/** `{span, to}` in ms; `to` is null while the time line goes on with the time. */
export function windowOf(params) {
  const named = SPANS.find(([name]) => name === params.get("span"));
  const span = named ? named[1] : wholeNumber(params.get("span")) || USUAL;
  return { span: Math.min(MOST, Math.max(LEAST, span)), to: wholeNumber(params.get("to")) || null };
}

/** Show another part of time. */
export function show({ span, to }, now) {
  const whole = Math.min(MOST, Math.max(LEAST, Math.round(span)));
  const named = SPANS.find(([, ms]) => ms === whole);
  const live = to === null || to >= now - whole * 0.005;
  change({ span: whole === USUAL ? null : named ? named[0] : whole, to: live ? null : Math.round(to) });
}
