// All tasks, or one of them.
import { html } from "../../base/html.js";
import { wholeNumber } from "../../base/route.js";
import { lazy } from "../../parts/lazy.js";
import { TaskList } from "./task_list.js";

const TaskPage = lazy(() => import("../task/task.js"));

export function Page({ route }) {
  const task = route.names[1];
  if (task === undefined) return html`<${TaskList} params=${route.params} />`;
  return html`<${TaskPage} key=${task} task=${wholeNumber(task)} params=${route.params} />`;
}
