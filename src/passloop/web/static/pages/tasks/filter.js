// What is looked for: read from the address and written to it, so that a filter can be kept and sent on.
import { change } from "../../base/route.js";

const LISTS = ["state", "run", "group", "class", "select"];
const TEXTS = ["text", "key", "sort"];

/** The filter as the engine takes it. */
export function filterOf(params) {
  const filter = {};
  for (const name of LISTS) if (params.getAll(name).length) filter[name] = params.getAll(name);
  for (const name of TEXTS) if (params.get(name)) filter[name] = params.get(name);
  return filter;
}

/** Change one part of the filter. */
export const setFilter = (parts) => change(parts);

/** Nothing is looked for any more. */
export function clearFilter() {
  change(Object.fromEntries([...LISTS, ...TEXTS].map((name) => [name, null])));
}

/** The filter as selectors, for acts on all it finds; null if selectors cannot say it. */
export function selectorsOf(filter) {
  if (filter.text) return null;
  const words = [...(filter.select || [])];
  for (const run of filter.run || []) words.push(`@${run}`);
  for (const kind of ["state", "group", "class"]) for (const value of filter[kind] || []) words.push(`${kind}:${value}`);
  if (filter.key) words.push(`key:${filter.key}`);
  return words.length ? words : ["1-4611686018427387903"];
}

/** Whether anything is looked for. */
export const isFiltered = (filter) => Object.keys(filter).some((name) => name !== "sort");
