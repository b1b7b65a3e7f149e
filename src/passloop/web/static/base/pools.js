// What a pool is for, told by its kind and name: the machine's own, one of an endpoint, or the limit of a run.
const OF_A_RUN = /^(parallel\/|trials:|leases-)/;
const OF_THE_MACHINE = ["cpu", "memory", "disk", "gpu"];
const NO_LIMIT = 1_000_000_000;

/** Whether it only says how many of a run go on at once. */
export const isOfRun = (pool) => OF_A_RUN.test(pool.name);

/** Whether calls draw on it: a limit that is no other thing of this machine, or a rate. */
export function isOfEndpoint(pool, pools) {
  if (OF_THE_MACHINE.includes(pool.name) || isOfRun(pool)) return false;
  if (pool.kind === "rate") return true;
  return pool.kind === "limit" && (/[/:]/.test(pool.name) || pools.some((each) => each.parent === pool.name));
}

/** Whether nobody has told a limit of it. */
export const isUnlimited = (pool) => pool.capacity >= NO_LIMIT;

/** Whether there is something to tell of it: a limit that is near or reached, somebody who holds some, a closed gate. */
export const isTelling = (pool) => pool.state !== "open" || (isOfRun(pool) ? pool.used > 0 : !isUnlimited(pool));

/** By endpoint, each with its models and rates after it. */
export const byName = (one, other) => one.name.replaceAll(":", " ").localeCompare(other.name.replaceAll(":", " "));
