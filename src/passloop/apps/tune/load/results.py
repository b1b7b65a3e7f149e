"""From the records of requests to what a point measured. Pure: the same lines of `requests.jsonl` give the same result.

Each repeat has its own statistics; the value of a point is their mean, with Student's interval from two repeats on.
A statistic that one repeat lacks is not there at all. Shares (errors, attainment) are of all requests together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from passloop.apps.statistics import student_mean, summary, wilson
from passloop.apps.tune.records import Point, PointResult

from .requests import RequestRecord

__all__ = ["duration_of", "is_good", "point_result"]

Counted = Literal["usage", "chunks"]
Metrics = dict[str, dict[str, float]]
Repeat = Sequence[RequestRecord]


def point_result(
    point: Point,
    repeats: Sequence[Repeat],
    *,
    limits: Mapping[str, float],
    gpus: int = 0,
    counted: Counted = "usage",
    stopped: str | None = None,
    saturated: bool = False,
) -> PointResult:
    """What was measured. `limits` (latency -> most ms) are what each good request keeps; `gpus` share the rates."""
    found = [_of_repeat(repeat, limits, gpus, counted) for repeat in repeats]
    metrics, widths = _joined(found)
    every = [record for repeat in repeats for record in repeat]
    metrics |= _shares(every, limits, counted)
    kinds = Counter(record.error for record in every if record.error is not None)
    return PointResult(
        point=point,
        metrics=metrics,
        half_width=widths,
        requests=len(every),
        errors=sum(kinds.values()),
        error_kinds=dict(sorted(kinds.items())),
        saturated=saturated,
        stopped=stopped,
        duration=sum(duration_of(repeat) for repeat in repeats),
    )


def duration_of(repeat: Repeat) -> float:
    """From the first request's due time to the last one's end, in ms; 0 for no requests."""
    if not repeat:
        return 0.0
    return max(record.ended for record in repeat) - min(record.scheduled for record in repeat)


def is_good(record: RequestRecord, limits: Mapping[str, float], counted: Counted = "usage") -> bool:
    """Whether it was answered within each limit. An error keeps none, and neither does what was not measured.

    An answer of one token has no time between tokens, so a limit on `tpot` says nothing of it.
    """
    if record.error is not None:
        return False
    actual = {"ttft": record.ttft, "e2e": record.e2e, "tpot": record.tpot(counted)}
    if record.tokens(counted) == 1:
        actual["tpot"] = 0.0
    return all(actual[name] is not None and (actual[name] or 0.0) <= most for name, most in limits.items())


def _of_repeat(repeat: Repeat, limits: Mapping[str, float], gpus: int, counted: Counted) -> Metrics:
    answered = [record for record in repeat if record.error is None]
    latencies = {
        "ttft": [value for record in answered if (value := record.ttft) is not None],
        "tpot": [value for record in answered if (value := record.tpot(counted)) is not None],
        "e2e": [value for record in answered if (value := record.e2e) is not None],
    }
    found = {name: summary(values) for name, values in latencies.items() if values}
    return found | {name: {"mean": value} for name, value in _rates(repeat, answered, limits, gpus, counted)}


def _rates(
    repeat: Repeat, answered: Repeat, limits: Mapping[str, float], gpus: int, counted: Counted
) -> Iterator[tuple[str, float]]:
    """Counts a second of the repeat, and of each GPU; token rates only if every answer told its tokens.

    Where nothing was answered there is no rate: zero would be a score, and a failure is none.
    """
    seconds = duration_of(repeat) / 1000
    if seconds <= 0 or not answered:
        return
    out = [record.tokens(counted) for record in answered]
    both = [
        None if record.tokens_in is None or n is None else record.tokens_in + n
        for record, n in zip(answered, out, strict=True)
    ]
    counts: dict[str, int | None] = {
        "requests_per_second": len(answered),
        "goodput": sum(is_good(record, limits, counted) for record in answered),
        "output_tokens_per_second": _sum(out),
        "total_tokens_per_second": _sum(both),
    }
    for name, count in counts.items():
        if count is not None:
            yield name, count / seconds
            yield from [(f"{name}_per_gpu", count / seconds / gpus)] if gpus else ()


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _joined(repeats: Sequence[Metrics]) -> tuple[Metrics, Metrics]:
    """Means over the repeats and half widths of their intervals, of what each repeat has."""
    metrics: Metrics = {}
    widths: Metrics = {}
    for name in repeats[0] if repeats else ():
        for stat in repeats[0][name]:
            values = [value for each in repeats if (value := each.get(name, {}).get(stat)) is not None]
            if len(values) < len(repeats):
                continue
            mean = student_mean(values)
            metrics.setdefault(name, {})[stat] = mean.value
            if mean.half_width is not None:
                widths.setdefault(name, {})[stat] = mean.half_width
    return metrics, widths


def _shares(every: Repeat, limits: Mapping[str, float], counted: Counted) -> Metrics:
    if not every:
        return {}
    good = sum(is_good(record, limits, counted) for record in every)
    low, high = wilson(good, len(every))
    errors = sum(record.error is not None for record in every)
    return {
        "error_rate": {"mean": errors / len(every)},
        "attainment": {"mean": good / len(every), "low": low, "high": high},
    }
