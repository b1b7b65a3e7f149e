// The output of an attempt as it is written: the end of what there is, then every byte that comes, once. Goes on after a
// lost connection, and after a time in which nobody could see it, where it was; anew if the log was emptied meanwhile.
import { query } from "../../base/api.js";
import { onEvent } from "../../base/events.js";
import { useEffect, useRef, useState } from "../../base/html.js";
import { logText } from "../../base/logtext.js";

const FIRST_BYTES = 512 * 1024;
const REDRAW_MS = 80;
/** By so many of the last bytes, still in their place, a log is known for the one that was read. */
const LAST_BYTES = 4096;

/** `{lines, from, size, state, folded}` of a stream; `from` is the byte at which it begins, `state` says if more comes. */
export function useFollowed(task, attempt, stream, bytes = FIRST_BYTES) {
  const [shown, setShown] = useState({ lines: [], from: 0, size: 0, folded: 0, dropped: 0, state: "reading" });
  const own = useRef(null);
  useEffect(() => {
    own.current = follow({ task, attempt, stream, bytes }, setShown);
    const stop = onEvent((event) => event === null && own.current.resume());
    const turned = () => document.hidden && own.current.rest();
    document.addEventListener("visibilitychange", turned);
    return () => {
      document.removeEventListener("visibilitychange", turned);
      stop();
      own.current.stop();
    };
  }, [task, attempt, stream, bytes]);
  return shown;
}

function follow({ task, attempt, stream, bytes }, setShown) {
  const root = `/api/v1/tasks/${task}/log`;
  let text = logText();
  const at = { from: 0, offset: null, last: new Uint8Array(), state: "reading" };
  let abort = new AbortController();
  let timer = 0;
  let busy = false;
  let over = false;

  function draw() {
    clearTimeout(timer);
    timer = 0;
    setShown({ lines: text.end().slice(), from: at.from, size: at.offset ?? 0, folded: text.folded, dropped: text.dropped, state: at.state });
  }

  function take(chunk) {
    text.add(chunk);
    at.last = endOf(at.last, chunk);
    at.offset += chunk.length;
    timer ||= setTimeout(draw, REDRAW_MS);
  }

  async function begin() {
    const reply = await fetch(root + query({ stream, attempt, tail: bytes }), { signal: abort.signal });
    if (!reply.ok) throw new Error(String(reply.status));
    const bytesNow = new Uint8Array(await reply.arrayBuffer());
    text = logText();
    at.last = new Uint8Array();
    at.from = at.offset = Number(reply.headers.get("X-Log-Offset") || 0);
    take(bytesNow);
    draw();
  }

  /** Whether what was read last is still before the offset: of a log that was emptied what follows is no place in it. */
  async function goesOn() {
    const { last, offset } = at;
    if (!last.length) return offset === 0;
    const place = { stream, attempt, offset: offset - last.length, limit: last.length };
    const reply = await fetch(root + query(place), { signal: abort.signal });
    if (!reply.ok) throw new Error(String(reply.status));
    const found = new Uint8Array(await reply.arrayBuffer());
    return found.length === last.length && found.every((byte, each) => byte === last[each]);
  }

  async function go() {
    if (busy || document.hidden) return;
    busy = true;
    abort = new AbortController();
    try {
      if (!(await goesOn())) await begin();
      const reply = await fetch(`${root}/follow${query({ stream, attempt, offset: at.offset })}`, { signal: abort.signal });
      if (!reply.ok) throw new Error(String(reply.status));
      at.state = "following";
      draw();
      const reader = reply.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        take(value);
      }
      at.state = "ended";
    } catch {
      at.state = "broken";
    }
    busy = false;
    if (!over) draw();
  }

  function rest() {
    abort.abort();
  }

  function stop() {
    over = true;
    clearTimeout(timer);
    rest();
  }

  go();
  return { rest, stop, resume: () => at.state !== "ended" && go() };
}

function endOf(last, chunk) {
  const both = new Uint8Array(last.length + chunk.length);
  both.set(last);
  both.set(chunk, last.length);
  return both.slice(-LAST_BYTES);
}
