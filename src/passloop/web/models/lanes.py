"""Bars and gaps of one lane of a timeline, made for a drawing of some width. Pure; times in ms.

Bars that are narrower than a pixel and touch become one that says how many it stands for, so that a week of 100,000
attempts is as small as what can be seen of it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["Bar", "Gap", "Wait", "first_reasons", "gaps_of", "merged", "packed"]

ORDER = ("blocked", "starting", "backoff", "dependency", "held", "idle")
"""Reasons by precedence: the first that is true of some task names what came closest to running."""


class Bar(NamedTuple):
    """One attempt, or `many` of them; `about` is what a drawing says of the one attempt, `bad` how many failed."""

    start: int
    end: int
    track: int = 0
    many: int = 1
    bad: int = 0
    about: dict[str, Any] | None = None


class Wait(NamedTuple):
    """A task waited from `start` to `end` for `reason`."""

    start: int
    end: int
    reason: str


class Gap(NamedTuple):
    """Nothing ran from `start` to `end`, because of `reason`."""

    start: int
    end: int
    reason: str


def merged(bars: Iterable[Bar], pixel: int) -> list[Bar]:
    """The bars by start, those narrower than `pixel` that touch each other as one."""
    found: list[Bar] = []
    narrow: Bar | None = None
    for bar in sorted(bars, key=lambda each: (each.start, each.end)):
        if bar.end - bar.start >= pixel:
            found.append(bar)
        elif narrow is not None and bar.start <= narrow.end + pixel:
            end = max(narrow.end, bar.end)
            narrow = Bar(narrow.start, end, many=narrow.many + bar.many, bad=narrow.bad + bar.bad)
        else:
            found += [narrow] if narrow is not None else []
            narrow = bar
    found += [narrow] if narrow is not None else []
    return sorted(found, key=lambda each: (each.start, each.end))


def packed(bars: Iterable[Bar]) -> list[Bar]:
    """The bars (by start), each on the lowest track that is free then."""
    free: list[int] = []
    taken: list[tuple[int, int]] = []
    tracks = 0
    found = []
    for bar in bars:
        while taken and taken[0][0] <= bar.start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        track = heapq.heappop(free) if free else tracks
        tracks = max(tracks, track + 1)
        heapq.heappush(taken, (bar.end, track))
        found.append(bar._replace(track=track))
    return found


def gaps_of(bars: Sequence[Bar], span: tuple[int, int], why: Sequence[Gap], *, least: int) -> list[Gap]:
    """The parts of `span` at least `least` long without a bar, each cut where its reason (`why`, in order) changes."""
    found: list[Gap] = []
    at, place = span[0], 0
    for start, end in [*((bar.start, bar.end) for bar in bars), (span[1], span[1])]:
        if start - at >= least:
            while place < len(why) and why[place].end <= at:
                place += 1
            found += _cut(at, min(start, span[1]), why, place)
        at = max(at, end)
    return found


def first_reasons(waits: Iterable[Wait], span: tuple[int, int]) -> list[Gap]:
    """For every moment of `span`, the first reason for which some task waited; `idle` where none did."""
    changes: list[tuple[int, str, int]] = []
    for wait in waits:
        if wait.end > wait.start:
            changes += [(wait.start, wait.reason, 1), (wait.end, wait.reason, -1)]
    found: list[Gap] = []
    waiting: Counter[str] = Counter()
    at = span[0]
    for moment, reason, step in [*sorted(changes), (span[1], "idle", 0)]:
        upto = min(max(moment, at), span[1])
        _extend(found, Gap(at, upto, next((each for each in ORDER if waiting[each] > 0), "idle")))
        at = upto
        waiting[reason] += step
    return found


def _cut(start: int, end: int, why: Sequence[Gap], place: int) -> Iterator[Gap]:
    for part in why[place:]:
        if part.start >= end:
            return
        if part.end > start:
            yield Gap(max(start, part.start), min(end, part.end), part.reason)


def _extend(found: list[Gap], part: Gap) -> None:
    if part.end <= part.start:
        return
    if found and found[-1].reason == part.reason:
        found[-1] = found[-1]._replace(end=part.end)
    else:
        found.append(part)
