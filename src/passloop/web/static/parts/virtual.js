// A list of any length of which only the rows in sight are made. Rows have one height; what is not here yet is drawn as
// a blank until `need` has brought it.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../base/html.js";

const BEYOND = 12;

export function Virtual({ total, height, need, children, label, at = null, head }) {
  const ref = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const first = Math.max(0, Math.floor(view.top / height) - BEYOND);
  const last = Math.min(total - 1, Math.ceil((view.top + view.height) / height) + BEYOND);
  const look = () => {
    const { scrollTop: top, clientHeight } = ref.current;
    setView((old) => (old.top === top && old.height === clientHeight ? old : { top, height: clientHeight }));
  };
  useLayoutEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => need(first, Math.max(first, last)), [first, last, total, need]);
  useEffect(() => {
    if (at === null) return;
    const element = ref.current;
    if (at * height < element.scrollTop) element.scrollTop = at * height;
    else if ((at + 2) * height > element.scrollTop + element.clientHeight) element.scrollTop = (at + 2) * height - element.clientHeight;
  }, [at]);
  const rows = [];
  for (let place = first; place <= last; place += 1) rows.push(children(place));
  return html`<div class="virtual" ref=${ref} onScroll=${look} tabindex="0" role="region" aria-label=${label}>
    ${head}
    <div class="space" style=${{ height: `${total * height}px` }}>
      <div class="rows" style=${{ transform: `translateY(${first * height}px)` }}>${rows}</div>
    </div>
  </div>`;
}
