// Small things that components share: a clock that goes on, the size of an element, a value that comes to rest.
import { skew } from "./events.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { signal, useSignal } from "./signal.js";

const PHONE = 640;
const AROUND = 50;
const across = signal(innerWidth);
addEventListener("resize", () => across.set(innerWidth));

/** The box that a chart is drawn in, `{width, height, ...}`; on a phone as wide as there is room, so that its text stays legible. */
export function useBox(box) {
  const room = useSignal(across);
  return room >= PHONE ? box : { ...box, width: Math.max(240, room - AROUND), height: Math.min(box.height, 300) };
}

/** The engine's time in ms, told anew every `every` ms while the page can be seen. */
export function useNow(every = 1000) {
  const [now, setNow] = useState(Date.now() + skew.get());
  useEffect(() => {
    const tick = () => document.visibilityState === "visible" && setNow(Date.now() + skew.get());
    const timer = setInterval(tick, every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

/** `[ref, {width, height}]` of an element, in px. */
export function useSize() {
  const ref = useRef(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const look = () => {
      const { clientWidth: width, clientHeight: height } = element;
      setSize((old) => (old.width === width && old.height === height ? old : { width, height }));
    };
    look();
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}

/** A value once it has not changed for `pause` ms. */
export function useRest(value, pause = 120) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), pause);
    return () => clearTimeout(timer);
  }, [value, pause]);
  return rested;
}
