// The lines of a log in sight. Colours go on from line to line as on a terminal; everything is put into text nodes.
import { pieces } from "../../base/ansi.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../base/html.js";

const HEIGHT = 18;
const BEYOND = 20;
const MOST_ROWS = 30;

export function LogScreen({ lines, first: dropped, words, at, following, onScrolled }) {
  const ref = useRef(null);
  const [view, setView] = useState({ top: 0, height: 500 });
  const faces = useMemo(() => facesOf(lines), [lines]);
  const look = () => {
    const { scrollTop: top, clientHeight: height, scrollHeight } = ref.current;
    setView({ top, height });
    return top + height >= scrollHeight - HEIGHT;
  };
  const scrolled = () => {
    const end = look();
    if (end !== following) onScrolled(end);
  };
  useLayoutEffect(() => {
    if (following) ref.current.scrollTop = ref.current.scrollHeight;
    look();
  }, [lines, following]);
  useEffect(() => {
    if (at !== null) ref.current.scrollTop = Math.max(0, at * HEIGHT - view.height / 2);
  }, [at]);
  const start = Math.max(0, Math.floor(view.top / HEIGHT) - BEYOND);
  const end = Math.min(lines.length, Math.ceil((view.top + view.height) / HEIGHT) + BEYOND);
  const rows = [];
  for (let place = start; place < end; place += 1) {
    rows.push(html`<${Line} key=${place} number=${dropped + place + 1} line=${lines[place]} face=${faces[place]} words=${words} on=${place === at} />`);
  }
  const height = Math.min(lines.length, MOST_ROWS) * HEIGHT + 14;
  return html`<div class="screen" style=${{ height: `${height}px` }} ref=${ref} onScroll=${scrolled} tabindex="0" role="log" aria-label="Lines of output" aria-live="off">
    <div style=${{ height: `${lines.length * HEIGHT}px`, minWidth: "max-content" }}>
      <div style=${{ transform: `translateY(${start * HEIGHT}px)` }}>${rows}</div>
    </div>
  </div>`;
}

function Line({ number, line, face, words, on }) {
  const { found } = pieces(line, face);
  const text = found.map((piece) => piece.text).join("");
  const hit = words && text.toLowerCase().includes(words.toLowerCase());
  return html`<div class=${hit ? `row hit${on ? " on" : ""}` : "row"}>
    <span class="at">${number}</span><span>${found.map((piece) => (piece.classes ? html`<span class=${piece.classes}>${piece.text}</span>` : piece.text))}</span>
  </div>`;
}

/** The face with which each line begins. */
function facesOf(lines) {
  const faces = new Array(lines.length);
  let face = {};
  for (let place = 0; place < lines.length; place += 1) {
    faces[place] = face;
    if (lines[place].includes("\u001b")) face = pieces(lines[place], face).face;
  }
  return faces;
}
