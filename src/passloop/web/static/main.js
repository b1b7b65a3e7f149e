// The page begins here: theme, events, and the shell with whatever page the address names.
import { connect } from "./base/events.js";
import { html, render } from "./base/html.js";
import { showTheme } from "./base/theme.js";
import { Shell } from "./shell/shell.js";

showTheme();
render(html`<${Shell} />`, document.getElementById("page"));
connect();
