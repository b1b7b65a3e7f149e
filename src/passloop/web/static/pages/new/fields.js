// The fields of a command, in the words of `passloop submit`.

export const FIELDS = [
  { name: "gpus", label: "GPUs", hint: "0, 1, 2, or a share like 0.5" },
  { name: "vram", label: "VRAM of each", hint: "20GiB" },
  { name: "cpus", label: "CPUs", hint: "1" },
  { name: "mem", label: "Memory", hint: "16GiB" },
  { name: "array", label: "Array", hint: "1-100" },
  { name: "max_parallel", label: "At most at once", hint: "max_parallel" },
  { name: "name", label: "Name", hint: "" },
  { name: "group", label: "Group", hint: "default" },
  { name: "time_limit", label: "Time limit", hint: "2h" },
  { name: "retries", label: "Retries after failure", hint: "0" },
  { name: "priority", label: "Priority", hint: "0; higher goes first" },
  { name: "after", label: "After success of", hint: "12,13" },
];

/** What was filled in, as the engine takes it. */
export function optionsOf(values) {
  const said = Object.entries(values).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== "");
  return Object.fromEntries(said);
}
