"""What the drawings of a timeline share: tracks for what overlaps, the times in which nothing ran, and why nothing did.

Pure, over spans of (start, end) in ms. Where spans and reasons come from is told by who draws: a report from the rows
of a run, the page from the records of the home.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["REASONS", "Gap", "Wait", "first_reasons", "gaps_of", "tracks_of"]

# The order is the precedence when several are true: the first names what came closest to running.
REASONS = {
    "blocked": "ready work did not fit or was not allowed to pass",
    "starting": "starting",
    "backoff": "pause before a retry",
    "dependency": "waiting for other tasks",
    "held": "held",
    "awaiting": "only work waits that was told to wait for capacity",
    "unfit": "only work that can never fit on this machine waits",
    "idle": "nothing to start",
}

Span = tuple[int, int]


class Wait(NamedTuple):
    """A task waited from `start` to `end` (ms) for `reason`."""

    start: int
    end: int
    reason: str


class Gap(NamedTuple):
    """Nothing ran from `start` to `end` (ms); `reason` is a key of `REASONS`."""

    start: int
    end: int
    reason: str


def tracks_of(spans: Iterable[Span]) -> list[int]:
    """For each span (by start) the lowest track that is free then."""
    free: list[int] = []
    taken: list[tuple[int, int]] = []
    tracks: list[int] = []
    for start, end in spans:
        while taken and taken[0][0] <= start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        track = heapq.heappop(free) if free else len(taken)
        heapq.heappush(taken, (end, track))
        tracks.append(track)
    return tracks


def gaps_of(busy: Iterable[Span], span: Span, why: Sequence[Gap], *, least: int = 1) -> list[Gap]:
    """The parts of `span` at least `least` ms long that none of `busy` (by start) covers, each cut where its reason
    (`why`, in order) changes.
    """
    found: list[Gap] = []
    at, place = span[0], 0
    for start, end in [*busy, (span[1], span[1])]:
        if start - at >= least:
            while place < len(why) and why[place].end <= at:
                place += 1
            found += _cut(at, min(start, span[1]), why, place)
        at = max(at, end)
    return found


def first_reasons(waits: Iterable[Wait], span: Span) -> list[Gap]:
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
        _extend(found, Gap(at, upto, next((each for each in REASONS if waiting[each] > 0), "idle")))
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
