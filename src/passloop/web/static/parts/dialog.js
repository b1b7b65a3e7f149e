// A dialog above the page; Escape and a click beside it close it.
import { html, useEffect, useRef } from "../base/html.js";

export function Dialog({ title, onClose, children, wide = false }) {
  const ref = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before?.focus?.();
  }, []);
  const beside = (event) => event.target === ref.current && onClose();
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-label=${title} onClose=${onClose} onClick=${beside}>
    <div class="dialog-head">
      <h2>${title}</h2>
      <button class="quiet round" type="button" aria-label="Close" onClick=${onClose}>✕</button>
    </div>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}
