// Talks to the engine: JSON in, JSON out, and every refusal as one kind of error that says what, and how to fix it.
import { signal } from "./signal.js";

const ROOT = "/api/v1";

/** Whether this browser is known to the engine; false after a 401. */
export const admitted = signal(true);

/** What the engine, or the way to it, said instead of an answer. */
export class Refusal extends Error {
  constructor({ status, code, message, hint, problems }) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint || "";
    this.problems = problems;
  }
}

/** GET a document. `params` are added to the path: a list gives one parameter for each of its values. */
export function get(path, params, options) {
  return ask("GET", path + query(params), undefined, options);
}

/** POST a document. */
export function post(path, body = {}, options) {
  return ask("POST", path, body, options);
}

/** Bytes of a log from `offset` on: `{size, bytes}`. */
export async function bytes(path, params, options) {
  const reply = await send("GET", path + query(params), undefined, options);
  return { size: Number(reply.headers.get("X-Log-Size") || 0), bytes: new Uint8Array(await reply.arrayBuffer()) };
}

/** Parameters as they stand in an address, with the question mark; what is null or empty is left out. */
export function query(params) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(params || {})) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") pairs.append(name, each);
    }
  }
  const text = pairs.toString();
  return text && `?${text}`;
}

async function ask(method, path, body, options) {
  const reply = await send(method, path, body, options);
  return reply.json();
}

async function send(method, path, body, { signal: stop } = {}) {
  const request = { method, signal: stop, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  let reply;
  try {
    reply = await fetch(ROOT + path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal({
      status: 0,
      code: "unreachable",
      message: "the engine does not answer",
      hint: "start it with: passloop up; the page comes back by itself",
    });
  }
  if (reply.ok) {
    admitted.set(true);
    return reply;
  }
  throw await refusalOf(reply);
}

async function refusalOf(reply) {
  if (reply.status === 401) admitted.set(false);
  let told = {};
  try {
    told = (await reply.json()).error || {};
  } catch {
    // Not ours: a proxy between may answer with anything.
  }
  const message = told.message || `the engine answered ${reply.status}`;
  return new Refusal({ ...told, status: reply.status, code: told.code || "unknown", message });
}
