"""When a dataset's models were called and what came of it: counts by model, and time lines of calls a second, of calls
under way, of refusals, and of how many were allowed. Reads the store; draws nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from passloop.drivers.calls.endpoints import limits_of

from .dataset import Dataset
from .limit_times import allowed

if TYPE_CHECKING:
    from passloop.store.reader import Reader
    from passloop.store.tallies import Call

__all__ = ["FATES", "CallTimes", "ModelCalls", "Step", "call_times"]

FATES = ("answered", "refused", "failed", "unknown")
"""How calls end. Of an unknown one the engine went before its answer was committed."""
STEPS = 120
GAP = 3_600_000
"""A pause after which a dataset's calls count as another stretch of time, in ms."""


class Step(NamedTuple):
    """A part of a time line: calls that ended in it by their fate, and how many were under way on average."""

    ended: Mapping[str, int]
    under_way: float


@dataclass(slots=True)
class ModelCalls:
    """The calls of one model. `counts` are of all time; of the stretch that is drawn are `steps`, and `allowed`: (ms
    from its begin, most at once). `limit` is what the spec says.
    """

    name: str
    limit: int | None
    counts: Counter[str] = field(default_factory=Counter)
    steps: list[Step] = field(default_factory=list)
    allowed: Sequence[tuple[int, int]] = ()

    def line(self) -> str:
        """For people, on one line."""
        told = ", ".join(f"{self.counts[fate]:,} {fate}" for fate in (*FATES, "under way") if self.counts[fate])
        return f"  {self.name}: {self.counts.total():,} calls" + (f", {told}" if told else "")


class CallTimes(NamedTuple):
    """All models with calls. `step` and `length` of what is drawn are in ms, and so is `left_out`: how long before it
    the first call was that is not drawn (0: all are).
    """

    models: Sequence[ModelCalls]
    step: int
    length: int
    left_out: int


def call_times(reader: Reader, dataset: Dataset) -> CallTimes:
    """What became of the calls of a dataset, in whichever of its runs."""
    found: dict[str, list[Call]] = {name: [] for name in dataset.models}
    for call in reader.calls_like(f"generate:{dataset.root}:*"):
        column = dataset.columns.get(call.key.split(":")[3])
        if column is not None and column.model is not None:
            found[column.model].append(call)
    called = {name: calls for name, calls in found.items() if calls}
    first, begin, end = _stretch(call for calls in called.values() for call in calls)
    step = max(1, -(-(end - begin) // STEPS))
    models = [_model(dataset, name, calls, begin, step, end) for name, calls in called.items()]
    for model in models:
        limits = reader.limit_steps(limits_of(dataset.models[model.name]), since=begin)
        model.allowed = allowed(limits, begin=begin, end=end)
    return CallTimes(models, step, end - begin, begin - first)


def _stretch(calls: Iterable[Call]) -> tuple[int, int, int]:
    """When the first call was, and from when to when calls were made without a long pause, up to the last."""
    spans = sorted((call.started_at, call.ended_at or call.started_at) for call in calls)
    if not spans:
        return 0, 0, 0
    begin, until = spans[0]
    for start, end in spans:
        if start - until > GAP:
            begin = start
        until = max(until, end)
    return spans[0][0], begin, max(until, begin + 1)


def _model(dataset: Dataset, name: str, calls: Sequence[Call], begin: int, step: int, end: int) -> ModelCalls:
    model = dataset.models[name]
    made = ModelCalls(name, model.max_in_flight or model.endpoint.max_in_flight)
    places = -(-(end - begin) // step)
    ended: list[Counter[str]] = [Counter() for _ in range(places)]
    busy = [0] * places
    for call in calls:
        fate = _fate(call)
        made.counts[fate] += 1
        if (call.ended_at or end) <= begin:
            continue
        if call.ended_at is not None:
            ended[min((call.ended_at - begin) // step, places - 1)][fate] += 1
        _add_busy(busy, call.started_at - begin, (call.ended_at or end) - begin, step)
    made.steps = [Step(one, spent / step) for one, spent in zip(ended, busy, strict=True)]
    return made


def _add_busy(busy: list[int], start: int, end: int, step: int) -> None:
    """Add to each part how long a call was under way in it."""
    for place in range(max(0, start // step), min(len(busy), end // step + 1)):
        busy[place] += max(0, min(end, (place + 1) * step) - max(start, place * step))


def _fate(call: Call) -> str:
    if call.outcome is None:
        return "under way"
    if call.outcome == "success":
        return "answered"
    if call.outcome == "lost":
        return "unknown"
    return "refused" if call.outcome == "rate_limited" and call.status in (None, 429) else "failed"
