// The engine's events as they are committed. Comes back by itself, after the last event that it has seen, so that
// nothing is lost or told twice; says at any time whether the page is live. A browser has six connections to one address
// for all its tabs, so a page keeps one only while it can be seen.
import { admitted, get, query } from "./api.js";
import { signal } from "./signal.js";

const PAUSES = [300, 600, 1000, 1000, 2000];

/** `connecting`, `live`, or `lost`. */
export const connection = signal("connecting");

/** The wall time of the engine less that of this browser, in ms. */
export const skew = signal(0);

const listeners = new Set();
let last = null;
let source = null;
let failures = 0;
let again = 0;

/** Call `each(event)` for every event, `{seq, at, ranges, touches}`; with null once it is live (again): read anew. */
export function onEvent(each) {
  listeners.add(each);
  return () => listeners.delete(each);
}

/** Connect, and stay connected while the page can be seen. */
export function connect() {
  clearTimeout(again);
  source?.close();
  if (document.hidden) return;
  source = new EventSource(`/api/v1/events${query({ form: "ranges", after: last })}`);
  source.onopen = opened;
  source.onmessage = arrived;
  source.onerror = failed;
}

/** Whether an event brought one of these tasks to another state. */
export function names(event, tasks) {
  return (event.ranges || []).some(([first, many]) => tasks.some((task) => task >= first && task < first + many));
}

/** Whether an event touched one of these: tasks, devices, pools, sources, engine. */
export function touches(event, ...what) {
  return what.some((each) => (event.touches || ["tasks"]).includes(each));
}

function opened() {
  failures = 0;
  admitted.set(true);
  connection.set("live");
  tell(null);
}

function arrived(message) {
  let event;
  try {
    event = JSON.parse(message.data);
  } catch {
    return;
  }
  if (event.anew) {
    location.reload(); // the engine has another store now: nothing that is shown needs to be true
    return;
  }
  last = event.seq ?? last;
  if (event.at) skew.set(settled(Date.parse(event.at) - Date.now()));
  tell(event);
}

/** Clocks of one machine differ by the way of a message only; what is less than two seconds is none. */
function settled(difference) {
  return Math.abs(difference) < 2000 ? 0 : difference;
}

function failed() {
  source.close();
  connection.set("lost");
  again = setTimeout(connect, PAUSES[Math.min(failures, PAUSES.length - 1)]);
  failures += 1;
  if (failures > 1) askWhy();
}

/** A stream that is refused does not say why; another answer does, if the browser is not admitted any more. */
function askWhy() {
  get("/status").catch(() => {});
}

function tell(event) {
  for (const each of [...listeners]) each(event);
}

function turned() {
  if (connection.get() === "live") connection.set("connecting");
  connect();
}

document.addEventListener("visibilitychange", turned);
addEventListener("online", () => connection.get() === "lost" && connect());
