"""The points of a finite space as candidates, worked out once and only as far as somebody looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from passloop.apps.tune.candidates import Candidate
from passloop.apps.tune.records import Params, Value

__all__ = ["Listing"]


class Listing:
    """Candidates in a fixed order, without those that cannot run."""

    def __init__(self, points: Iterator[Params], make: Callable[[Mapping[str, Value]], Candidate]) -> None:
        self._points = points
        self._make = make
        self._known: list[Candidate] = []

    def first_unseen(self, seen: AbstractSet[str]) -> Candidate | None:
        """The first whose hash is not among those seen; None if there is none."""
        for candidate in self._known:
            if candidate.hash not in seen:
                return candidate
        for params in self._points:
            candidate = self._make(params)
            if candidate.invalid is not None:
                continue
            self._known.append(candidate)
            if candidate.hash not in seen:
                return candidate
        return None
