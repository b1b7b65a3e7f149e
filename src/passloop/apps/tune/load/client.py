"""The built-in client: one repeat of one point, closed or open loop. It gives up where going on would be a waste.

In a closed loop `concurrency` requests are always under way, a new one is due when one ends. In an open loop requests
are due at fixed times, whether the server keeps up or not. It leaves nothing behind: cancelled, every request ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from passloop.apps.tune.records import Point, Record
from passloop.apps.tune.scoring.saturation import Saturation

from .arrivals import arrivals
from .options import Options
from .prompts import Prompts
from .requests import RequestRecord, Sender

__all__ = ["WARMUP", "Asking", "Progress", "Repeat", "RepeatRun"]

JUDGED_FROM = 10
"""Requests that have to end before their share of errors ends a repeat; at its end it always counts."""
WARMUP = "warmup"
WARMED_TOGETHER = 4
"""Requests at once in the warm-up of an open loop."""
EARLY = 0.0005
"""Seconds before a request is due at which its timer is set: the loop's timers come up to a ms late, so that they are
half a ms early or late now. One that is sent early counts from when it was sent."""
TOLD_EVERY = 0.2
"""Seconds between two words of progress at least."""


class Progress(Record, frozen=True, kw_only=True):
    """How far a point is: `done` of `requests` in this phase (`warmup`, `measuring`) of this repeat (from 0)."""

    point: str
    phase: str
    repeat: int
    repeats: int
    done: int
    requests: int
    errors: int
    in_flight: int


class Repeat(Record, frozen=True, kw_only=True):
    """What one repeat gave: the records of requests that ended, and why it was given up, if it was."""

    records: tuple[RequestRecord, ...]
    stopped: str | None = None
    saturated: bool = False


class _GaveUp(Exception):
    """Ends the repeat; all requests under way are cancelled. `reason` is for the result."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asking:
    """What stays the same from point to point: who sends what, and how."""

    sender: Sender
    prompts: Prompts
    options: Options = field(default_factory=Options)
    seed: int = 0


class RepeatRun:
    """One phase of a repeat: the warm-up of a point, which is a closed loop, or its measured requests."""

    def __init__(
        self,
        asking: Asking,
        point: Point,
        *,
        repeat: int,
        phase: str = "measuring",
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._asking = asking
        self._options = asking.options
        self._point = point
        self._repeat = repeat
        self._phase = phase
        self._warming = phase == WARMUP
        self._requests = point.warmup if self._warming else point.requests
        self._progress = progress
        self._saturation = Saturation(point.rate or 0.0)
        self._records: list[RequestRecord] = []
        self._errors = 0
        self._in_flight = 0
        self._sending = True
        self._told = 0.0
        self._start = 0.0

    async def run(self, *, first: int, on_record: Callable[[RequestRecord], None] = lambda _: None) -> Repeat:
        """Send them all and wait for their ends; `on_record` is given each at its end.

        `first` is the number of the first one among all of the point, by which prompts are chosen.
        """
        self._on_record = on_record
        self._start = asyncio.get_running_loop().time()
        stopped = None
        self._tell(always=True)
        try:
            if self._warming or self._point.rate is None:
                await self._closed(first)
            else:
                await self._open(first)
        except* _GaveUp as group:
            stopped = _reason(group)
        if stopped is None and self._fails_too_much() and not self._warming:
            stopped = "error_rate"
        self._tell(always=True)
        return Repeat(records=tuple(self._records), stopped=stopped, saturated=self._saturation.seen)

    async def _closed(self, first: int) -> None:
        numbers = iter(range(self._requests))
        together = self._point.concurrency or WARMED_TOGETHER
        async with asyncio.TaskGroup() as group:
            for _ in range(min(together, self._requests)):
                group.create_task(self._one_after_the_other(numbers, first))

    async def _one_after_the_other(self, numbers: Iterator[int], first: int) -> None:
        clock = asyncio.get_running_loop().time
        for number in numbers:
            now = clock()
            if self._point.seconds is not None and not self._warming and now - self._start >= self._point.seconds:
                return
            body = self._body(first + number)
            await self._one(body, number, clock(), nullcontext())

    async def _open(self, first: int) -> None:
        clock = asyncio.get_running_loop().time
        gate = nullcontext() if self._options.in_flight is None else asyncio.Semaphore(self._options.in_flight)
        dues = arrivals(self._point, f"{self._asking.seed}/{self._point.name}/{first}")
        async with asyncio.TaskGroup() as group:
            for number, offset in enumerate(dues):
                due = self._start + offset
                body = self._body(first + number)
                await asyncio.sleep(max(0.0, due - EARLY - clock()))
                group.create_task(self._one(body, number, min(due, clock()), gate))
            self._sending = False

    async def _one(self, body: bytes, number: int, due: float, gate: AbstractAsyncContextManager[object]) -> None:
        self._in_flight += 1
        self._saturation.on_due()
        try:
            async with gate:
                place = (self._point.name, self._repeat, number)
                record = await self._asking.sender.send(
                    body, place=place, start=self._start, due=due, on_first=self._on_first
                )
        finally:
            self._in_flight -= 1
        self._saturation.on_end(answered=record.first is not None)
        self._on_end(record)

    def _body(self, number: int) -> bytes:
        return self._asking.sender.body(self._asking.prompts.prompt(self._point.name, number))

    def _on_first(self, ttft: float) -> None:
        if self._point.rate is not None and self._sending and not self._warming:
            self._saturation.on_first(ttft)

    def _on_end(self, record: RequestRecord) -> None:
        self._records.append(record)
        self._errors += record.error is not None
        self._on_record(record)
        self._tell()
        if len(self._records) >= JUDGED_FROM and self._fails_too_much():
            raise _GaveUp("error_rate")
        if self._saturation.seen and self._options.stop_saturated:
            raise _GaveUp("saturated")

    def _fails_too_much(self) -> bool:
        most = self._options.most_errors
        return most is not None and self._errors > most * len(self._records)

    def _tell(self, *, always: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        if self._progress is None or not (always or now - self._told >= TOLD_EVERY):
            return
        self._told = now
        self._progress(
            Progress(
                point=self._point.name,
                phase=self._phase,
                repeat=self._repeat,
                repeats=self._point.repeats,
                done=len(self._records),
                requests=self._requests,
                errors=self._errors,
                in_flight=self._in_flight,
            )
        )


def _reason(group: BaseExceptionGroup[_GaveUp]) -> str:
    inner = group.exceptions[0]
    return inner.reason if isinstance(inner, _GaveUp) else _reason(inner)
