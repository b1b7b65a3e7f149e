// Times and spans for people: in the reader's zone, as short as they can be read. Times come as ISO 8601 text or as ms.

const DAY = 86_400_000;
const UNITS = [[DAY, "d"], [3_600_000, "h"], [60_000, "min"], [1000, "s"]];
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** Milliseconds of a time given as text, number or nothing. */
export function millis(time) {
  if (time === null || time === undefined) return null;
  return typeof time === "number" ? time : Date.parse(time);
}

/** A moment: only the clock today, with the day before. */
export function momentText(time, now = Date.now()) {
  const at = millis(time);
  if (at === null || Number.isNaN(at)) return "–";
  const same = new Date(at).toDateString() === new Date(now).toDateString();
  return same ? clock.format(at) : `${day.format(at)}, ${short.format(at)}`;
}

/** A moment with everything, zone too. */
export function wholeText(time) {
  const at = millis(time);
  return at === null || Number.isNaN(at) ? "" : whole.format(at);
}

/** The mark of a moment on an axis whose marks are `step` ms apart. */
export function tickText(at, step) {
  if (step >= DAY) return day.format(at);
  if (step >= 60_000) {
    const date = new Date(at);
    return date.getHours() + date.getMinutes() === 0 ? day.format(at) : short.format(at);
  }
  return clock.format(at);
}

/** A span in its two largest units. */
export function spanText(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 0) return `-${spanText(-ms)}`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const place = UNITS.findIndex(([unit]) => ms >= unit);
  const [unit, name] = UNITS[place];
  const [next, nextName] = UNITS[place + 1];
  const rest = Math.floor((ms % unit) / next);
  return rest ? `${Math.floor(ms / unit)} ${name} ${rest} ${nextName}` : `${Math.floor(ms / unit)} ${name}`;
}

/** How long ago, or how long until. */
export function agoText(time, now = Date.now()) {
  const at = millis(time);
  if (at === null || Number.isNaN(at)) return "–";
  if (Math.abs(now - at) < 1000) return "now";
  return at > now ? `in ${spanText(at - now)}` : `${spanText(now - at)} ago`;
}
