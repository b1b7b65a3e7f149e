// Numbers with their units for people: sizes, CPUs, shares, money, metrics.

const count = new Intl.NumberFormat("en-US");

/** A count with its thousands apart. */
export const countText = (value) => (value === null || value === undefined ? "–" : count.format(value));

/** "1 task", "12 tasks". */
export const countOf = (value, word) => `${countText(value)} ${word}${value === 1 ? "" : "s"}`;

/** MiB as the largest unit that reads well. */
export function sizeText(mib) {
  if (mib === null || mib === undefined) return "–";
  if (mib >= 1024 * 1024) return `${trimmed(mib / 1024 / 1024)} TiB`;
  return mib >= 1024 ? `${trimmed(mib / 1024)} GiB` : `${trimmed(mib)} MiB`;
}

/** Bytes as the largest unit that reads well. */
export function bytesText(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${trimmed(bytes / 1024)} KiB` : sizeText(bytes / 1024 / 1024);
}

/** CPUs from thousandths. */
export const cpusText = (milli) => trimmed(milli / 1000);

/** A share of 1 as per cent. */
export const percentText = (share) => (share === null || share === undefined ? "–" : `${trimmed(share * 100)} %`);

/** A measured number with four digits that count. */
export function numberText(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return count.format(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2).replace("e+", "e").replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(4)));
}

/** What is added to or taken from a value, with two digits that count. */
export function differenceText(value) {
  if (Math.abs(value) < 1e-9) return "±0";
  return `${value > 0 ? "+" : "−"}${numberText(Number(Math.abs(value).toPrecision(2)))}`;
}

function trimmed(value) {
  return String(Number(value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)));
}
