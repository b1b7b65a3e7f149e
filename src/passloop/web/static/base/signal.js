// A value that tells who listens when it is another one. What is shared between components lives in these.
import { useEffect, useState } from "./html.js";

/** A shared value: `get`, `set`, and `listen`, which returns how to stop listening. */
export function signal(first) {
  let value = first;
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const each of [...listeners]) each(value);
    },
    listen(each) {
      listeners.add(each);
      return () => listeners.delete(each);
    },
  };
}

/** The value of a signal, for a component: it is drawn again when the value is another one. */
export function useSignal(of) {
  const [value, setValue] = useState(of.get());
  useEffect(() => {
    setValue(() => of.get());
    return of.listen((next) => setValue(() => next));
  }, [of]);
  return value;
}
