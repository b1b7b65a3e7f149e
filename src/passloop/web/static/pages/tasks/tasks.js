// All tasks, or one of them.
import { html } from "../../base/html.js";
import { TaskPage } from "../task/task.js";
import { TaskList } from "./task_list.js";

export function Page({ route }) {
  const task = route.names[1];
  if (task === undefined) return html`<${TaskList} params=${route.params} />`;
  return html`<${TaskPage} key=${task} task=${Number(task)} params=${route.params} />`;
}
