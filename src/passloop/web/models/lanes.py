"""Bars of one lane of a timeline, made for a drawing of some width. Pure; times in ms.

Bars that are narrower than a pixel and touch become one that says how many it stands for, so that a week of 100,000
attempts is as small as what can be seen of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from passloop.apps.queue.gaps import tracks_of

__all__ = ["Bar", "merged", "packed"]


class Bar(NamedTuple):
    """One attempt, or `many` of them; `about` is what a drawing says of the one attempt, `bad` how many failed."""

    start: int
    end: int
    track: int = 0
    many: int = 1
    bad: int = 0
    about: dict[str, Any] | None = None


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


def packed(bars: Sequence[Bar]) -> list[Bar]:
    """The bars (by start), each on the lowest track that is free then."""
    tracks = tracks_of((bar.start, bar.end) for bar in bars)
    return [bar._replace(track=track) for bar, track in zip(bars, tracks, strict=True)]
