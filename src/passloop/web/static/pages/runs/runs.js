// All runs, or one of them.
import { html } from "../../base/html.js";
import { RunPage } from "./run.js";
import { RunList } from "./run_list.js";

export function Page({ route }) {
  const [, run] = route.names;
  if (run === undefined) return html`<${RunList} />`;
  return html`<${RunPage} key=${run} name=${run} rest=${route.names.slice(2)} params=${route.params} />`;
}
