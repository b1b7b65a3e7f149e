// What a browser sees that the engine does not know: how to come in.
import { html } from "../base/html.js";

export function SignIn() {
  return html`<section class="panel narrow">
    <h1>This browser is not signed in</h1>
    <p>The page shows and starts commands, so it opens only for who can read this engine's token. Open it with</p>
    <pre>passloop ui</pre>
    <p class="soft">
      It prints an address that works once and signs this browser in. From another machine:${" "}
      <code>ssh -L PORT:127.0.0.1:PORT box</code> with the same port on both sides, then open that address here.
    </p>
    <button type="button" onClick=${() => location.reload()}>Try again</button>
  </section>`;
}
