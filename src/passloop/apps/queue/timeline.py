"""Who ran where and when, as lanes of bars and gaps. Gaps carry the reason why nothing ran there.

Reads the rows of a report only, so reasons are those that the records show. It draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .gaps import Gap, Wait, first_reasons, gaps_of, tracks_of
from .report import Attempt, Report, Row, merged_spans

__all__ = ["Bar", "Lane", "Timeline", "build_timeline"]

CUT_WIDTH = 0.02
LEAST_CUT = 30_000
MOST_CUTS = 10


class Bar(NamedTuple):
    """One attempt on a lane; times in ms. `track` separates attempts that shared the device."""

    start: int
    end: int
    track: int
    row: Row
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Lane:
    """One device, or one of the CPU lanes into which attempts without a device are packed."""

    label: str
    device: bool
    tracks: int
    bars: tuple[Bar, ...]
    gaps: tuple[Gap, ...]

    @property
    def busy(self) -> int:
        """Milliseconds in which something ran here."""
        return sum(end - start for start, end in merged_spans((bar.start, bar.end) for bar in self.bars))


@dataclass(frozen=True, slots=True)
class Timeline:
    """All lanes over one span of time (ms). `parts` are what is drawn of it: long times of nothing are cut out."""

    start: int
    end: int
    parts: tuple[tuple[int, int], ...]
    lanes: tuple[Lane, ...]

    def place(self, moment: int) -> float:
        """Where `moment` is drawn, from 0 to 1; one in a cut is drawn where the cut is."""
        room = (1 - CUT_WIDTH * (len(self.parts) - 1)) / max(1, sum(end - start for start, end in self.parts))
        at = 0.0
        for start, end in self.parts:
            if moment <= end:
                return at + max(0, moment - start) * room
            at += (end - start) * room + CUT_WIDTH
        return 1.0


def build_timeline(report: Report) -> Timeline | None:
    """Lanes of a run, devices first; None if nothing has started."""
    span = report.span
    if span is None:
        return None
    start, end = span
    devices: dict[str, list[Bar]] = {}
    others: list[Bar] = []
    until = report.counted_until
    for row in report.ever:
        for attempt in row.attempts:
            if attempt.started_at is None:
                continue
            bar = Bar(attempt.started_at, attempt.ended_at or until, 0, row, attempt)
            for uuid in attempt.gpus:
                devices.setdefault(uuid, []).append(bar)
            if not attempt.gpus:
                others.append(bar)
    lanes = [*_device_lanes(report, devices, (start, end)), *_cpu_lanes(report, others, (start, end))]
    return Timeline(start, end, _parts(report), tuple(lanes))


def _parts(report: Report) -> tuple[tuple[int, int], ...]:
    """The active times, joined where less than a tenth of all of them lies between."""
    active = report.active
    bearable = max(LEAST_CUT, sum(end - start for start, end in active) // 10)
    parts = active[:1]
    for start, end in active[1:]:
        if start - parts[-1][1] <= bearable or len(parts) > MOST_CUTS:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return tuple(parts)


def _device_lanes(report: Report, devices: dict[str, list[Bar]], span: tuple[int, int]) -> Iterator[Lane]:
    why = _reasons(report, span, gpus=True)
    for uuid in sorted(devices):
        bars = _packed(devices[uuid])
        yield Lane(uuid, True, 1 + max(bar.track for bar in bars), tuple(bars), _gaps(bars, span, why))


def _cpu_lanes(report: Report, bars: list[Bar], span: tuple[int, int]) -> Iterator[Lane]:
    why = _reasons(report, span, gpus=False)
    by_track: dict[int, list[Bar]] = {}
    for bar in _packed(bars):
        by_track.setdefault(bar.track, []).append(bar._replace(track=0))
    for track in sorted(by_track):
        own = by_track[track]
        yield Lane(f"CPU {track + 1}", False, 1, tuple(own), _gaps(own, span, why))


def _packed(bars: Sequence[Bar]) -> list[Bar]:
    """Bars by start, each on the lowest track that is free then."""
    ordered = sorted(bars, key=lambda bar: (bar.start, bar.end, bar.row.id))
    tracks = tracks_of((bar.start, bar.end) for bar in ordered)
    return [bar._replace(track=track) for bar, track in zip(ordered, tracks, strict=True)]


def _gaps(bars: Sequence[Bar], span: tuple[int, int], why: Sequence[Gap]) -> tuple[Gap, ...]:
    return tuple(gaps_of(((bar.start, bar.end) for bar in bars), span, why))


def _reasons(report: Report, span: tuple[int, int], *, gpus: bool) -> list[Gap]:
    """For every moment of `span`, what the tasks of this kind (with or without GPUs) were waiting for."""
    until = report.counted_until
    ends = {row.id: row.ended_at or until for row in report.ever}
    waits = (wait for row in report.ever if row.wants_gpus == gpus for wait in _waits(row, ends, until))
    return first_reasons(waits, span)


def _waits(row: Row, ends: dict[int, int], now: int) -> Iterator[Wait]:
    """Everything a task waited for, as far as its record says."""
    if row.submitted_at is None:
        return
    if not row.attempts:
        yield from _waits_unstarted(row, ends, now)
        return
    at = row.submitted_at
    for place, attempt in enumerate(row.attempts):
        claimed = attempt.admitted_at or attempt.started_at or now
        if place == 0:
            freed = min(max([at, *(ends.get(task, at) for task in row.after)]), claimed)
            yield Wait(at, freed, "dependency")
            yield Wait(freed, claimed, "blocked")
        else:
            yield Wait(at, claimed, "backoff")
        yield Wait(claimed, attempt.started_at or now, "starting")
        at = attempt.ended_at or now


def _waits_unstarted(row: Row, ends: dict[int, int], now: int) -> Iterator[Wait]:
    """A task that never started: it waits until now, unless it is final."""
    start = row.submitted_at or now
    if row.state == "held":
        yield Wait(start, now, "held")
    elif row.state in ("waiting", "ready"):
        freed = max([start, *(ends.get(task, start) for task in row.after)])
        yield Wait(start, freed, "dependency")
        yield Wait(freed, now, "awaiting" if row.awaits_capacity else "blocked")
