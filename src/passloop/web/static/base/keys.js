// Keys that do something, each with the words that the help shows. A page adds its own while it is open.
import { useLayoutEffect, useRef } from "./html.js";

const SECOND_KEY_MS = 1200;
const layers = [];
let first = "";
let forget = 0;

/** All keys that do something now, in the order of the help: `{keys, does, act}`; `keys` is like `j` or `g t`. */
export const keysNow = () => layers.flatMap((layer) => layer.current);

/** Keys for as long as a component is there. They always act on what it drew last. */
export function useKeys(keys) {
  const layer = useRef(keys);
  layer.current = keys;
  useLayoutEffect(() => {
    layers.push(layer);
    return () => layers.splice(layers.indexOf(layer), 1);
  }, []);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && event.target.closest?.("a, button, summary, [role=group]")) return;
  const typed = first ? `${first} ${event.key}` : event.key;
  const found = keysNow().findLast((each) => each.keys === typed);
  clearTimeout(forget);
  first = "";
  if (found) {
    event.preventDefault();
    found.act(event);
  } else if (keysNow().some((each) => each.keys.startsWith(`${typed} `))) {
    first = typed;
    forget = setTimeout(() => (first = ""), SECOND_KEY_MS);
  }
});

function writes(target) {
  return target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}
