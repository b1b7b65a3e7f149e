// Where the reader is: everything that can be seen has an address, behind the `#`, that can be kept and sent on.
import { query } from "./api.js";
import { useSignal, signal } from "./signal.js";

/** The place: the names between the slashes and the parameters after the question mark. */
export function parse(hash) {
  const [path, rest = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const names = path.split("/").filter(Boolean).map(decoded);
  return { names: names.length ? names : ["now"], params: new URLSearchParams(rest) };
}

/** The address of a place. */
export function link(names, params) {
  return `#/${names.map((name) => encodeURIComponent(name)).join("/")}${query(params)}`;
}

const place = signal(parse(location.hash));
addEventListener("hashchange", () => place.set(parse(location.hash)));

/** The place, for a component. */
export const useRoute = () => useSignal(place);

/** Go to a place; with `replace` without a step that "back" would undo. */
export function go(address, { replace = false } = {}) {
  if (!replace) {
    location.hash = address;
    return;
  }
  history.replaceState(null, "", address);
  place.set(parse(location.hash));
}

/** Change some parameters of this place; what is null or empty goes. */
export function change(params, { replace = true } = {}) {
  const { names, params: now } = place.get();
  const all = {};
  for (const name of new Set(now.keys())) all[name] = now.getAll(name);
  go(link(names, { ...all, ...params }), { replace });
}

/** A whole number as it stands in an address, in plain digits; null for anything else. */
export const wholeNumber = (text) => (/^\d{1,15}$/.test(text ?? "") ? Number(text) : null);

function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
