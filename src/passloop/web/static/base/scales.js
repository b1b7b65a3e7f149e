// From values to places and to round marks on an axis.

const STEPS_MS = [
  1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000,
  10_800_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000,
];

/** A function from values in `from` to places in `to`. */
export function scale([low, high], [start, end]) {
  const room = high - low || 1;
  return (value) => start + ((value - low) / room) * (end - start);
}

/** Bounds a little around all values; of none, 0 to 1. */
export function boundsOf(values, { zero = false, room = 0.06 } = {}) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) return [0, 1];
  const low = Math.min(...known, ...(zero ? [0] : []));
  const high = Math.max(...known);
  const more = (high - low) * room || Math.abs(high) * 0.1 || 0.5;
  return [zero && low === 0 ? 0 : low - more, high + more];
}

/** Whether values reach so far that equal steps would hide the small ones: all above 0, the largest 30 times the smallest. */
export function isWide(values) {
  const known = values.filter((value) => Number.isFinite(value));
  const low = Math.min(...known);
  return known.length > 1 && low > 0 && Math.max(...known) / low >= 30;
}

/** Powers of ten between two, with their twos and fives where there is room. */
export function wideTicks([low, high]) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
    for (const factor of high / low > 2000 ? [1] : [1, 2, 5]) {
      const value = Number((factor * 10 ** power).toPrecision(1));
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

/** About `count` round values between two. */
export function ticks([low, high], count = 5) {
  const raw = (high - low) / count;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw * 0.999);
  const found = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high + step * 1e-9; number += 1) found.push(number * step || 0);
  return found;
}

/** Round local times between two moments, and the ms between them. */
export function timeTicks([low, high], count) {
  const step = STEPS_MS.find((each) => (high - low) / each <= count) || 7 * 86_400_000;
  const zone = new Date(low).getTimezoneOffset() * 60_000;
  const found = [];
  for (let at = Math.ceil((low - zone) / step) * step + zone; at <= high; at += step) found.push(at);
  return { step, found };
}
