// Asks the engine about something that is being typed: after each rest, only for the newest text.
import { post } from "../../base/api.js";
import { useEffect, useState } from "../../base/html.js";
import { useRest } from "../../base/watch.js";

const REST_MS = 300;

/** `{answer, error, asking}` for a body; null asks nothing. */
export function useAsked(path, body) {
  const text = useRest(body === null ? null : JSON.stringify(body), REST_MS);
  const [found, setFound] = useState({ answer: null, error: null, of: null });
  useEffect(() => {
    if (text === null) {
      setFound({ answer: null, error: null, of: null });
      return undefined;
    }
    const abort = new AbortController();
    post(path, JSON.parse(text), { signal: abort.signal }).then(
      (answer) => setFound({ answer, error: null, of: text }),
      (error) => error.name !== "AbortError" && setFound({ answer: null, error, of: text }),
    );
    return () => abort.abort();
  }, [path, text]);
  const now = body === null ? null : JSON.stringify(body);
  return { ...found, asking: found.of !== now };
}
