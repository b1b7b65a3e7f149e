"""Documents of trials in one line: points by name, metrics as `ttft_p95=800` or `goodput=3`."""

from __future__ import annotations

from passloop.apps.tune.records import Document, Failure, Point, PointResult

__all__ = ["complete", "failed", "point"]

STATS = ("mean", "p50", "p90", "p95", "p99", "low", "high")


def point(name: str = "concurrency=4", *, repeats: int = 1, stopped: str | None = None, **values: float) -> PointResult:
    """What a point measured; a metric without a statistic's name has its mean. `width_ttft=3` is a half width."""
    kind, _, number = name.partition("=")
    load = Point(concurrency=int(number), repeats=repeats) if kind == "concurrency" else Point(rate=float(number))
    metrics: dict[str, dict[str, float]] = {}
    widths: dict[str, dict[str, float]] = {}
    for word, value in values.items():
        target = widths if word.startswith("width_") else metrics
        metric, _, stat = word.removeprefix("width_").rpartition("_")
        if stat in STATS:
            target.setdefault(metric, {})[stat] = value
        else:
            target.setdefault(word.removeprefix("width_"), {})["mean"] = value
    return PointResult(point=load, metrics=metrics, half_width=widths, requests=50, stopped=stopped)


def complete(trial: int, *points: PointResult) -> Document:
    """A trial that was measured."""
    return Document(trial=trial, params={"batch": trial}, hash=f"{trial:016x}", state="complete", points=points)


def failed(trial: int, *points: PointResult) -> Document:
    """A trial that ran out of memory, whatever it had measured before."""
    failure = Failure(kind="out_of_memory", message="no memory for the KV cache", phase="starting")
    return Document(
        trial=trial, params={"batch": trial}, hash=f"{trial:016x}", state="failed", points=points, failure=failure
    )
