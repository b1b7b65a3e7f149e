"""Holds a law of P17 over many drawn inputs: each is answered, within a second, and the cases are counted.

A second is one of this process's CPU time: on a box that others use too, what the clock says is theirs as much as ours.
The large figure, which is made on a calm machine, holds the clock to it as well. It judges no answer; a law does.
What the tests themselves hold, thousands of them collected, is no part of an answer, so no garbage is looked for there.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

__all__ = ["FIGURE", "SECONDS", "Seconds", "hold"]

SECONDS = 1.0
FIGURE = "0 tracebacks, 0 over 1 s"


class Seconds:
    """Counts answers and keeps the longest, in seconds of CPU; by the clock as well where `wall` says so."""

    def __init__(self, *, wall: bool = False) -> None:
        self.cases = 0
        self.longest = 0.0
        self._wall = wall

    @contextmanager
    def of_one(self, asked: object = "it") -> Iterator[None]:
        """One answer, which must come within a second; if it does not, what was asked is told with what it took."""
        gc.freeze()
        cpu, clock = process_time(), perf_counter()
        try:
            yield
        finally:
            taken = process_time() - cpu
            passed = perf_counter() - clock
            gc.unfreeze()
        self.cases += 1
        self.longest = max(self.longest, taken)
        told = f"{asked!r:.500}: {taken:.2f} s of CPU time here, {passed:.2f} s by the clock"
        assert taken < SECONDS, told
        assert not self._wall or passed < SECONDS, f"{told}; is anything else running on this machine?"

    @property
    def longest_s(self) -> float:
        """The longest answer, rounded to a millisecond."""
        return round(self.longest, 3)


def hold(drawn: st.SearchStrategy[Any], law: Callable[[Any], None], *, cases: int, wall: bool = False) -> Seconds:
    """Draw so many inputs and check that the law holds of each; how many those were, and what they took."""
    seconds = Seconds(wall=wall)

    def timed(value: Any) -> None:
        with seconds.of_one(value):
            law(value)

    fuzzing = settings(deadline=None, max_examples=cases, suppress_health_check=list(HealthCheck))
    fuzzing(given(drawn)(timed))()
    return seconds
