// What is around every page: navigation, the state of the connection, theme, help, messages, and what to do when the
// browser is not admitted.
import { admitted } from "../base/api.js";
import { html, useEffect, useState } from "../base/html.js";
import { useKeys } from "../base/keys.js";
import { go, link, useRoute } from "../base/route.js";
import { useSignal } from "../base/signal.js";
import { nextTheme } from "../base/theme.js";
import { Boundary } from "../parts/boundary.js";
import { Connection } from "./connection.js";
import { Help } from "./help.js";
import { Messages } from "./messages.js";
import { PAGES, pageOf } from "./pages.js";
import { SignIn } from "./sign_in.js";
import { ThemeButton } from "./theme_button.js";

export function Shell() {
  const route = useRoute();
  const known = useSignal(admitted);
  const [helping, setHelping] = useState(false);
  const page = pageOf(route.names[0]);
  useEffect(() => {
    document.title = `${[page.title, ...route.names.slice(1)].join(" ")} · passloop`;
  }, [route]);
  useKeys([
    ...PAGES.map((each) => ({ keys: each.keys, does: `go to ${each.title}`, act: () => go(link([each.name])) })),
    { keys: "?", does: "show these keys", act: () => setHelping(true) },
    { keys: "T", does: "light, dark or as the system", act: nextTheme },
  ]);
  return html`
    <a class="skip" href="#main" onClick=${skipTo}>To the content</a>
    <header class="shell">
      <a class="brand" href=${link(["now"])}><img src="/static/mark.svg" alt="" width="22" height="22" />passloop</a>
      <nav aria-label="Pages">
        ${PAGES.map(
          (each) => html`<a href=${link([each.name])} aria-current=${each.name === page.name ? "page" : null}>
            ${each.title}
          </a>`,
        )}
      </nav>
      <span class="tools">
        <${Connection} />
        <${ThemeButton} />
        <button class="quiet round" type="button" aria-label="Help: keys" title="Keys (?)" onClick=${() => setHelping(true)}>?</button>
      </span>
    </header>
    <main id="main" tabindex="-1">
      ${known
        ? html`<${Boundary} key=${route.names.join("/")}><${page.component} route=${route} /><//>`
        : html`<${SignIn} />`}
    </main>
    <${Messages} />
    <${Help} open=${helping} onClose=${() => setHelping(false)} />
  `;
}

/** The address holds the place, so a jump inside the page is made by hand. */
function skipTo(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}
