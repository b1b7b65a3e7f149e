"""What a run found, as data: rows, axes and metrics as columns, cells over seeds, failures by class.

Works from the JSON shape of tasks (`ls --json`, `show --json`), so it needs no engine. It never prints and
never decides; `report_text`, `report_html` and `export` show it.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeGuard

from passloop.apps.figures import Value, lower_is_better

__all__ = [
    "REPEAT_AXES",
    "Attempt",
    "Cell",
    "Report",
    "Row",
    "Spread",
    "build_report",
    "is_number",
    "merged_spans",
]

REPEAT_AXES = frozenset({"seed", "replica"})
FAILED_STATES = ("failed", "aborted", "rejected", "cancelled")
LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; times in ms since the epoch."""

    number: int
    outcome: str | None
    exit_code: int | None
    message: str
    admitted_at: int | None
    started_at: int | None
    ended_at: int | None
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One task; times in ms since the epoch. `log` holds the last lines of a task that failed. One that
    `awaits_capacity` may ask for more than the machine has.
    """

    id: int
    run: int
    name: str
    state: str
    outcome: str | None
    exit_code: int | None
    message: str
    params: Mapping[str, Value]
    results: Mapping[str, Value]
    command: tuple[str, ...]
    after: tuple[int, ...]
    wants_gpus: bool
    submitted_at: int | None
    attempts: tuple[Attempt, ...]
    log: str = ""
    awaits_capacity: bool = False

    @property
    def started_at(self) -> int | None:
        """When the first attempt's process existed."""
        return min((t.started_at for t in self.attempts if t.started_at is not None), default=None)

    @property
    def ended_at(self) -> int | None:
        """When the last attempt ended, once the task is final."""
        if self.state not in (*FAILED_STATES, "succeeded"):
            return None
        return max((t.ended_at for t in self.attempts if t.ended_at is not None), default=None)

    @property
    def seconds(self) -> float | None:
        """How long the latest attempt ran, in seconds; None if it has no end yet."""
        ended = [t for t in self.attempts if t.started_at is not None and t.ended_at is not None]
        if not ended:
            return None
        return max(0, (ended[-1].ended_at or 0) - (ended[-1].started_at or 0)) / 1000

    @property
    def failure_class(self) -> str | None:
        """The class under which a task that did not succeed is listed."""
        if self.state not in FAILED_STATES:
            return None
        return self.outcome if self.state == "failed" and self.outcome else self.state


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over the repeats of one cell: mean, standard deviation (None for one value), count."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Cell:
    """All repeats (seeds, replicas) of one point of the matrix; `metrics` are of those that succeeded."""

    params: Mapping[str, Value]
    rows: tuple[Row, ...]
    metrics: Mapping[str, Spread]

    @property
    def succeeded(self) -> int:
        """How many repeats succeeded."""
        return sum(row.state == "succeeded" for row in self.rows)

    @property
    def seconds(self) -> float | None:
        """How long a repeat ran, in seconds, as the mean of those that succeeded; where none did, of all."""
        done = [row for row in self.rows if row.state == "succeeded"] or self.rows
        known = [row.seconds for row in done if row.seconds is not None]
        return statistics.fmean(known) if known else None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report shows. `made_at` is wall time in ms; `axes` and `metrics` name columns in order.

    `replaced` are tasks whose place a later one took: they ran, and count for times only.
    """

    run: int
    name: str
    group: str
    made_at: int
    rows: tuple[Row, ...]
    axes: tuple[str, ...]
    metrics: tuple[str, ...]
    cells: tuple[Cell, ...]
    ranked_by: str | None
    replaced: tuple[Row, ...] = ()

    @property
    def ever(self) -> tuple[Row, ...]:
        """Every task that took time: those of today and those they replaced."""
        return (*self.replaced, *self.rows)

    @property
    def counts(self) -> Mapping[str, int]:
        """Tasks by state."""
        return Counter(row.state for row in self.rows)

    @property
    def failures(self) -> Mapping[str, tuple[Row, ...]]:
        """Tasks that did not succeed, by class, the most frequent first."""
        names = Counter(name for row in self.rows if (name := row.failure_class))
        return {name: tuple(row for row in self.rows if row.failure_class == name) for name, _ in names.most_common()}

    @property
    def counted_until(self) -> int:
        """Until when (ms) what still runs counts: the moment of making, or the last thing on record if that is later,
        because the wall clock was set back since."""
        moments = (at for row in self.ever for t in row.attempts for at in (t.admitted_at, t.started_at, t.ended_at))
        return max([self.made_at, *(at for at in moments if at is not None)])

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last moment that this run worked, in ms; what still runs counts until `counted_until`."""
        attempts = [t for row in self.ever for t in row.attempts if t.started_at is not None]
        if not attempts:
            return None
        first = min(t.started_at or 0 for t in attempts)
        until = self.counted_until
        return first, max(first, *(until if t.ended_at is None else t.ended_at for t in attempts))

    @property
    def active(self) -> list[tuple[int, int]]:
        """The times in which something of this run ran, in ms."""
        until = self.counted_until
        return merged_spans(
            (t.started_at, until if t.ended_at is None else t.ended_at)
            for row in self.ever
            for t in row.attempts
            if t.started_at is not None
        )

    @property
    def busy_seconds(self) -> float:
        """Seconds of all attempts together."""
        until = self.counted_until
        return (
            sum(
                (until if t.ended_at is None else t.ended_at) - t.started_at
                for row in self.ever
                for t in row.attempts
                if t.started_at is not None
            )
            / 1000
        )


def build_report(
    tasks: Sequence[Mapping[str, Any]],
    *,
    made_at: int,
    log_of: Callable[[Mapping[str, Any]], str] | None = None,
    run: int | None = None,
    replaced: Sequence[Mapping[str, Any]] = (),
) -> Report:
    """Build the report of one run from its tasks in JSON shape; `run` is its id if not that of the first task.

    `made_at` is wall time in ms. `log_of` gives the last lines of a task that failed. Raises `ValueError` if
    there are no tasks.
    """
    if not tasks:
        raise ValueError("a report needs at least one task")
    rows = tuple(_row(task, log_of) for task in tasks)
    first = tasks[0].get("run") or {}
    axes = _union(row.params for row in rows)
    metrics = _union(row.results for row in rows)
    cells = _cells(rows, [axis for axis in axes if axis not in REPEAT_AXES])
    numeric = [metric for metric in metrics if any(metric in cell.metrics for cell in cells)]
    ranked_by = numeric[0] if numeric else None
    return Report(
        run=run or int(first.get("id") or 0),
        name=str(first.get("name") or ""),
        group=str(tasks[0].get("group") or "default"),
        made_at=made_at,
        rows=rows,
        axes=axes,
        metrics=metrics,
        cells=_ranked(cells, ranked_by),
        ranked_by=ranked_by,
        replaced=tuple(_row(task, None) for task in replaced),
    )


def merged_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of spans, in order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _row(task: Mapping[str, Any], log_of: Callable[[Mapping[str, Any]], str] | None) -> Row:
    attempts = tuple(_attempt(entry, place) for place, entry in enumerate(task.get("attempts") or (), 1))
    return Row(
        id=int(task["id"]),
        run=int((task.get("run") or {}).get("id") or 0),
        name=str(task.get("name") or ""),
        state=str(task.get("state") or ""),
        outcome=task.get("outcome"),
        exit_code=task.get("exit_code"),
        message=str(task.get("message") or (attempts[-1].message if attempts else "")),
        params={str(name): _plain(value) for name, value in (task.get("params") or {}).items()},
        results=_results(task.get("results")),
        command=tuple(map(str, task.get("command") or ())),
        after=tuple(map(int, [*(task.get("after") or ()), *(task.get("after_any") or ())])),
        wants_gpus=any(_asks_gpus(variant) for variant in task.get("request") or ()),
        submitted_at=_millis(task.get("submitted_at")),
        attempts=attempts or _only_attempt(task),
        log=log_of(task) if log_of and task.get("state") in FAILED_STATES else "",
        awaits_capacity=bool(task.get("wait_for_capacity")),
    )


def _attempt(entry: Mapping[str, Any], place: int) -> Attempt:
    return Attempt(
        number=int(entry.get("attempt") or entry.get("epoch") or place),
        outcome=entry.get("outcome"),
        exit_code=entry.get("exit_code"),
        message=str(entry.get("message") or ""),
        admitted_at=_millis(entry.get("admitted_at")),
        started_at=_millis(entry.get("started_at")),
        ended_at=_millis(entry.get("ended_at")),
        gpus=tuple(map(str, entry.get("gpus") or ())),
    )


def _only_attempt(task: Mapping[str, Any]) -> tuple[Attempt, ...]:
    """The latest attempt, read off a task that came without the list of its attempts."""
    if task.get("started_at") is None:
        return ()
    return (_attempt(task, 1),)


def _asks_gpus(variant: object) -> bool:
    return isinstance(variant, Mapping) and bool(variant.get("gpus") or variant.get("share"))


def _millis(text: object) -> int | None:
    return None if text is None else round(datetime.fromisoformat(str(text)).timestamp() * 1000)


def _results(results: object) -> dict[str, Value]:
    """What metrics.json held, whatever that was."""
    if results is None or isinstance(results, Mapping):
        return _flat(results or {})
    return {"result": _plain(results)}


def _flat(results: Mapping[str, Any], prefix: str = "") -> dict[str, Value]:
    """Nested results as dotted names, in the order in which they were written."""
    flat: dict[str, Value] = {}
    for name, value in results.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = _plain(value)
    return flat


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _union(mappings: Iterable[Mapping[str, Value]]) -> tuple[str, ...]:
    """All names, in the order in which they are first seen."""
    return tuple(dict.fromkeys(name for mapping in mappings for name in mapping))


def _cells(rows: Iterable[Row], axes: Sequence[str]) -> list[Cell]:
    together: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        point = tuple((axis, repr(row.params[axis])) for axis in axes if axis in row.params)
        together.setdefault(point or (("task", str(row.id)),), []).append(row)
    return [
        Cell(
            {axis: some[0].params[axis] for axis in axes if axis in some[0].params},
            tuple(some),
            _spreads([row for row in some if row.state == "succeeded"]),
        )
        for some in together.values()
    ]


def _spreads(rows: Sequence[Row]) -> dict[str, Spread]:
    spreads = {}
    for name in _union(row.results for row in rows):
        values = [float(value) for row in rows if is_number(value := row.results.get(name))]
        if values:
            spreads[name] = Spread(statistics.fmean(values), _deviation(values), len(values))
    return spreads


def is_number(value: Value) -> TypeGuard[int | float]:
    """Whether a result can be averaged and compared: a number that is finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _ranked(cells: Sequence[Cell], metric: str | None) -> tuple[Cell, ...]:
    """The best first; cells without the metric last, in their own order."""
    if metric is None:
        return tuple(cells)
    sign = 1 if lower_is_better(metric) else -1
    have = [cell for cell in cells if metric in cell.metrics]
    have.sort(key=lambda cell: sign * cell.metrics[metric].mean)
    return (*have, *(cell for cell in cells if metric not in cell.metrics))
