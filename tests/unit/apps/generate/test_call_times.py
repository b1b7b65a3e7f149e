"""Time lines of calls: what is drawn of which stretch of time, and how many were under way in each part of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from passloop.apps.generate.call_times import GAP, CallTimes, call_times
from passloop.store.reader import Reader
from passloop.store.tallies import Call
from tests.support.generating import dataset_from


class Told:
    """What the store tells of calls."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._calls = list(calls)

    def calls_like(self, _keys: str) -> list[Call]:
        return self._calls

    def limit_steps(self, _pools: Iterable[str], *, since: int = 0) -> list[Any]:
        return []


def timed(folder: Path, *spans: tuple[int, int | None], outcome: str | None = "success") -> CallTimes:
    """The time lines of one model with calls from and to these moments in ms."""
    dataset = dataset_from(folder)
    calls = [
        Call(f"generate:{dataset.root}:{n}:text:x", start, end, outcome, None) for n, (start, end) in enumerate(spans)
    ]
    return call_times(cast(Reader, Told(calls)), dataset)


def test_only_the_last_stretch_is_drawn_and_all_calls_are_counted(tmp_path: Path) -> None:
    begin = GAP + 2_000
    found = timed(tmp_path, (0, 1_000), (begin, begin + 60), (begin + 60, begin + 120))
    (model,) = found.models
    assert (found.step, found.length, found.left_out) == (1, 120, begin)
    assert model.counts == {"answered": 3}
    assert sum(step.ended.get("answered", 0) for step in model.steps) == 2
    assert len(model.steps) == 120


def test_how_many_are_under_way_is_the_mean_over_each_part(tmp_path: Path) -> None:
    # parts of 10 ms: one call over all of the time, one from the middle of the second part to that of the third
    found = timed(tmp_path, (0, 1_200), (15, 25))
    assert found.step == 10
    (model,) = found.models
    assert [step.under_way for step in model.steps[:5]] == [1.0, 1.5, 1.5, 1.0, 1.0]
    assert sum(step.under_way for step in model.steps) * found.step == pytest.approx(1_200 + 10)


def test_a_call_under_way_counts_to_the_end_of_what_is_drawn(tmp_path: Path) -> None:
    found = timed(tmp_path, (0, None), (0, 120), outcome=None)
    (model,) = found.models
    assert model.counts["under way"] == 2
    assert [step.under_way for step in model.steps[:2]] == [2.0, 2.0]
