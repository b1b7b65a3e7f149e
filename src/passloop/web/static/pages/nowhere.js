// An address that leads nowhere.
import { html } from "../base/html.js";
import { link } from "../base/route.js";
import { Empty } from "../parts/empty.js";

export function Page() {
  return html`<h1>Nothing here</h1>
    <${Empty}>This address leads nowhere. <a href=${link(["now"])}>What runs now</a><//>`;
}
