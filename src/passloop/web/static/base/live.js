// A document of the engine that is kept up to date: read at first, then again after events, never more than one reading
// at a time and never more often than a pause allows.
import { get } from "./api.js";
import { onEvent } from "./events.js";
import { useCallback, useEffect, useRef, useState } from "./html.js";

/** Least time between two readings of one document, in ms. */
export const PAUSE = 400;

const NOTHING = { data: null, error: null, path: null };

/**
 * `{data, error, reload}` of a path with parameters. `concerns(event)` says whether an event may have changed it (null
 * comes when the page is live again). Without a path nothing is read. While another path is read the old data stay.
 */
export function useLive(path, params, { concerns = () => true, pause = PAUSE } = {}) {
  const [found, setFound] = useState(NOTHING);
  const asked = path === null ? null : JSON.stringify([path, params]);
  const reader = useRef(null);
  const latest = useRef(concerns);
  latest.current = concerns;

  useEffect(() => {
    if (asked === null) {
      setFound(NOTHING);
      return undefined;
    }
    const reading = keepReading(asked, pause, setFound);
    reader.current = reading;
    const stop = onEvent((event) => (event === null || latest.current(event)) && reading.again());
    return () => {
      stop();
      reading.stop();
    };
  }, [asked, pause]);

  const reload = useCallback(() => reader.current?.again(0), []);
  return { ...found, fresh: found.path === asked, reload };
}

/** Reads one document again and again, when it is told to. */
function keepReading(asked, pause, setFound) {
  const [path, params] = JSON.parse(asked);
  const abort = new AbortController();
  let timer = 0;
  let begun = 0;
  let busy = false;
  let wanted = false;

  async function read() {
    busy = true;
    wanted = false;
    begun = performance.now();
    try {
      const data = await get(path, params, { signal: abort.signal });
      if (!abort.signal.aborted) setFound({ data, error: null, path: asked });
    } catch (error) {
      if (!abort.signal.aborted) setFound((old) => ({ ...(old.path === asked ? old : NOTHING), error, path: asked }));
    }
    busy = false;
    if (wanted) again();
  }

  function again(least = pause) {
    wanted = true;
    if (busy || abort.signal.aborted) return;
    clearTimeout(timer);
    timer = setTimeout(read, Math.max(0, begun + least - performance.now()));
  }

  function stop() {
    clearTimeout(timer);
    abort.abort();
  }

  read();
  return { again, stop };
}
