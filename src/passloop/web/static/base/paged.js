// A long list that the engine holds and of which only what is seen is here: pages are read as they are needed, and those
// that are seen are read again after events. The old rows stay until the new ones have come.
import { get } from "./api.js";
import { onEvent, touches } from "./events.js";
import { useEffect, useRef, useState } from "./html.js";

export const PAGE = 100;
const PAUSE = 500;

/** Rows of `path` under `params`: `{total, states, rowAt(place), need(first, last), error, ready}`. */
export function usePaged(path, params) {
  const asked = JSON.stringify([path, params]);
  const [, redraw] = useState(0);
  const list = useRef(null);
  if (list.current === null) list.current = emptyList(() => redraw((count) => count + 1));
  useEffect(() => {
    list.current.open(path, params);
    const stop = onEvent((event) => (event === null || touches(event, "tasks")) && list.current.stale());
    return () => {
      stop();
      list.current.close();
    };
  }, [asked]);
  return list.current;
}

function emptyList(redraw) {
  const list = { total: 0, states: {}, error: null, ready: false, rowAt, need, open, close, stale, seen: [0, 0] };
  let pages = new Map();
  let asked = null;
  let abort = new AbortController();
  let busy = new Set();
  let timer = 0;
  let begun = 0;
  let dirty = false;

  function open(path, params) {
    close();
    asked = { path, params };
    abort = new AbortController();
    busy = new Set();
    list.error = null;
    list.ready = false;
    begun = performance.now();
    read(0, { first: true });
  }

  function close() {
    clearTimeout(timer);
    abort.abort();
    asked = null;
  }

  function rowAt(place) {
    return pages.get(Math.floor(place / PAGE))?.[place % PAGE] ?? null;
  }

  function need(first, last) {
    list.seen = [first, last];
    if (!list.ready) return;
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page += 1) {
      if (page * PAGE < list.total && !pages.has(page)) read(page);
    }
  }

  function stale() {
    if (!asked || dirty) return;
    dirty = true;
    timer = setTimeout(again, Math.max(0, begun + PAUSE - performance.now()));
  }

  function again() {
    dirty = false;
    begun = performance.now();
    const [first, last] = list.seen;
    const seen = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page += 1) seen.push(page);
    for (const page of pages.keys()) if (!seen.includes(page)) pages.delete(page);
    for (const page of seen) read(page);
  }

  async function read(page, { first = false } = {}) {
    if (busy.has(page)) {
      dirty = false;
      stale();
      return;
    }
    const own = abort;
    const working = busy;
    working.add(page);
    try {
      const found = await get(asked.path, { ...asked.params, offset: page * PAGE, limit: PAGE }, { signal: own.signal });
      if (own.signal.aborted) return;
      if (first) pages = new Map();
      pages.set(page, found.lines);
      Object.assign(list, { total: found.total, states: found.states || {}, error: null, ready: true });
    } catch (error) {
      if (own.signal.aborted) return;
      list.error = error;
    }
    working.delete(page);
    if (first && list.ready) need(...list.seen);
    redraw();
  }

  return list;
}
