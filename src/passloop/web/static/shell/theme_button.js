// The button that goes through light, dark and as the system says.
import { html } from "../base/html.js";
import { useSignal } from "../base/signal.js";
import { nextTheme, theme } from "../base/theme.js";

const SIGNS = { auto: "◐", light: "☀", dark: "☾" };
const WORDS = { auto: "as the system", light: "light", dark: "dark" };

export function ThemeButton() {
  const now = useSignal(theme);
  const label = `Colours: ${WORDS[now]}`;
  return html`<button class="quiet round" type="button" title=${`${label} (T)`} aria-label=${label} onClick=${nextTheme}>
    ${SIGNS[now]}
  </button>`;
}
