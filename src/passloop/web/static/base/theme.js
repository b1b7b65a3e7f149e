// Dark or light: as the system says, unless the reader chose. The choice is kept in this browser only.
import { signal } from "./signal.js";

const KEY = "passloop-theme";
const ORDER = ["auto", "light", "dark"];

export const theme = signal(kept());

/** Show what is chosen. */
export function showTheme() {
  document.documentElement.dataset.theme = theme.get();
}

/** Auto, light, dark, and again. */
export function nextTheme() {
  theme.set(ORDER[(ORDER.indexOf(theme.get()) + 1) % ORDER.length]);
  try {
    localStorage.setItem(KEY, theme.get());
  } catch {
    // A browser that keeps nothing shows what is chosen as long as the page is open.
  }
  showTheme();
}

function kept() {
  try {
    const value = localStorage.getItem(KEY);
    return ORDER.includes(value) ? value : "auto";
  } catch {
    return "auto";
  }
}
