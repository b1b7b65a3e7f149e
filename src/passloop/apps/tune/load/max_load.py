"""The highest load that keeps the SLOs: bracket and bisection on one live server, each load measured once.

It doubles from the lowest load until one misses, then halves the gap between the highest that kept and the lowest that
missed. It believes that more load is never better; where chance says otherwise the answer is still a load that was
measured and kept the SLOs, never one between.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import Point, PointResult, Record, Slo
from passloop.apps.tune.scoring.slo import judge_point

__all__ = ["MaxLoad", "MaxLoadOrder", "max_load_under_slo", "read_max_load"]

ROUNDS = 4
Measure = Callable[[Point], Awaitable[PointResult]]
"""Loads the live server with a point; may raise what it likes."""


class MaxLoadOrder(Record, frozen=True, kw_only=True):
    """What is searched: `concurrency`, or `rate` in requests a second, between `low` and `high`, in at most `steps`.

    It ends when the gap is within `precision` of the load (a share), or one for concurrency. At least `attainment` of
    the requests have to be good. A rate is kept up for at least `seconds`, a concurrency for four rounds.
    """

    of: Literal["concurrency", "rate"] = "concurrency"
    low: float = 1.0
    high: float = 256.0
    steps: int = 12
    precision: float = 0.1
    attainment: float = 0.95
    seconds: float = 10.0


class MaxLoad(Record, frozen=True, kw_only=True):
    """`value` is the highest load that was measured and kept the SLOs, None if not even the lowest did.

    `missed` is the lowest above it that did not, None if the highest did; `why` is what it missed. `loads` has each one
    that was measured, in that order, with its result.
    """

    of: str
    value: float | None
    missed: float | None
    why: str = ""
    loads: tuple[PointResult, ...] = ()


def read_max_load(given: Mapping[str, Any]) -> MaxLoadOrder:
    """The order of a search, an order's `search_load`. Raises `BadValue`."""
    try:
        order = msgspec.convert(dict(given), MaxLoadOrder)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(MaxLoadOrder))
        raise BadValue(f"load.max_load cannot be read: {error}", f"it knows {known}") from None
    if not 0 < order.low <= order.high or order.steps < 1:
        raise BadValue("load.max_load has no range", "give 0 < low <= high and steps of at least 1")
    if not 0 < order.precision < 1 or not 0 < order.attainment <= 1 or order.seconds <= 0:
        raise BadValue("load.max_load has precision or attainment that is no share", "leave them out for the usual")
    return order


async def max_load_under_slo(
    measure: Measure, slo: Sequence[Slo], order: MaxLoadOrder, *, like: Point, measured: Sequence[PointResult] = ()
) -> MaxLoad:
    """Search with `measure`. Points are made `like` the given one; `measured` are results that there are already.

    A load is good if it was not given up, keeps each SLO that holds everywhere, and enough of its requests are good.
    """
    search = _Search(measure, slo, order, like, measured)
    await search.bracket()
    await search.bisect()
    return search.found()


class _Search:
    """A search under way: the highest load that kept and the lowest that missed."""

    def __init__(
        self,
        measure: Measure,
        slo: Sequence[Slo],
        order: MaxLoadOrder,
        like: Point,
        known: Sequence[PointResult],
    ) -> None:
        self._measure = measure
        self._slo = [limit for limit in slo if limit.at is None]
        self._order = order
        self._like = like
        self._known = {load: one for one in known if (load := _load_of(one.point, order.of)) is not None}
        self._loads: list[PointResult] = []
        self._kept: float | None = None
        self._missed: float | None = None
        self._why = ""

    async def bracket(self) -> None:
        """Double the load until one misses."""
        load = self._whole(self._order.low)
        while await self._try(load) and load < self._order.high and self._may_go_on():
            load = self._whole(min(self._order.high, load * 2))

    async def bisect(self) -> None:
        """Halve the gap, in proportion, until it is small enough."""
        while self._kept is not None and self._missed is not None and self._may_go_on():
            low, high = self._kept, self._missed
            middle = self._whole(math.sqrt(low * high))
            if high <= low * (1 + self._order.precision) or not low < middle < high:
                return
            await self._try(middle)

    def found(self) -> MaxLoad:
        """What there is to say."""
        return MaxLoad(
            of=self._order.of, value=self._kept, missed=self._missed, why=self._why, loads=tuple(self._loads)
        )

    def _may_go_on(self) -> bool:
        return len(self._loads) < self._order.steps

    async def _try(self, load: float) -> bool:
        """Measure a load, if it was not yet, and note whether it keeps the SLOs."""
        result = self._known.get(load)
        if result is None:
            result = self._known[load] = await self._measure(_point(load, self._order, self._like))
        self._loads.append(result)
        why = _why_missed(result, self._slo, self._order.attainment)
        if not why:
            self._kept = load if self._kept is None else max(load, self._kept)
        elif self._missed is None or load < self._missed:
            self._missed, self._why = load, why
        return not why

    def _whole(self, load: float) -> float:
        """A load that can be asked for: whole numbers of requests in flight, rates of three digits."""
        return float(round(load)) if self._order.of == "concurrency" else float(f"{load:.3g}")


def _why_missed(result: PointResult, slo: Sequence[Slo], attainment: float) -> str:
    """What keeps a load from being good, as a sentence; empty if it is."""
    if result.stopped is not None:
        return f"{result.point.name} was given up: {result.stopped}"
    judgement = judge_point(result, slo)
    if judgement.violations:
        return str(judgement.violations[0])
    share = result.metrics.get("attainment", {}).get("mean", 0.0)
    if share < attainment:
        return f"{share:.1%} of the requests at {result.point.name} were good, {attainment:.1%} wanted"
    return ""


def _point(load: float, order: MaxLoadOrder, like: Point) -> Point:
    if order.of == "concurrency":
        requests = max(like.requests, ROUNDS * int(load))
        return msgspec.structs.replace(like, concurrency=int(load), rate=None, requests=requests, repeats=1)
    requests = max(like.requests, math.ceil(load * order.seconds))
    return msgspec.structs.replace(like, rate=load, concurrency=None, requests=requests, seconds=None, repeats=1)


def _load_of(point: Point, of: str) -> float | None:
    value = point.rate if of == "rate" else point.concurrency
    return None if value is None else float(value)
