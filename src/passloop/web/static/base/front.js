// The points that no other beats: at least as good on both axes and better on one. Equal points are all on the front.

/** Whether `one` beats `other`; `more` says for each axis if more is better. */
export function beats(one, other, more) {
  const wide = (one.x - other.x) * (more.x ? 1 : -1);
  const high = (one.y - other.y) * (more.y ? 1 : -1);
  return wide >= 0 && high >= 0 && (wide > 0 || high > 0);
}

/** The front of `points`, `{x, y}`, by x. */
export function frontOf(points, more) {
  return points.filter((point) => !points.some((other) => beats(other, point, more)))
    .sort((one, other) => one.x - other.x || one.y - other.y);
}
