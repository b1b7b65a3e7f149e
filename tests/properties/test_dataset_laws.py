"""Laws of whole datasets: any graph of columns, any troubles of their models, engines that come and go.

Played on the machine alone with a fake clock (`support/dataset_play.py`); no call of a closed pool but its probe, and
memory under its guard, are checked there at each step.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from passloop.kernel.tasks import TaskState
from tests.support.dataset_play import BYTES, LATENCY, Column, DatasetPlay, Trouble

MODELS = ("m0", "m1", "m2")
QUIET = [HealthCheck.too_slow]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Column, ...]:
    """Up to five columns, each after any of the earlier ones."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        after = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        found.append(Column(draw(st.sampled_from(MODELS)), tuple(sorted(after))))
    return tuple(found)


TROUBLES = st.builds(
    Trouble,
    model=st.sampled_from(MODELS),
    status=st.sampled_from((429, 500)),
    begin=st.sampled_from((0, 30, 100)),
    end=st.sampled_from((None, 60, 3_000, 30_000)),
    every=st.sampled_from((1, 2, 7)),
    retry_after=st.sampled_from((None, 500, 5_000)),
)
PLAYS = st.fixed_dictionaries(
    {
        "columns": graphs(),
        "troubles": st.lists(TROUBLES, max_size=3).map(tuple),
        "units": st.integers(1, 6),
        "rows": st.integers(1, 3),
        "limit": st.integers(1, 3),
        "shared": st.booleans(),
        "guard": st.sampled_from((None, BYTES, 5 * BYTES, 20 * BYTES)),
    }
)
RESTARTS = st.lists(st.integers(0, 2_000), max_size=2)


def healthy(play: DatasetPlay) -> list[int]:
    """The columns that no trouble can reach: neither their models nor those of what they come after have any."""
    ill = {trouble.model for trouble in play.troubles}
    found: list[int] = []
    for number, column in enumerate(play.columns):
        if column.model not in ill and all(before in found for before in column.after):
            found.append(number)
    return found


def ends_well(words: dict[str, Any], restarts: list[int]) -> None:
    """It ends; each answer was asked for once, but for what an engine took along; healthy cells have theirs."""
    play = DatasetPlay(**words)
    play.play(restarts=restarts)
    assert play.is_over, play.world.machine.sources()
    times = Counter(one.key for one in play.answered())
    lost = sum(count - 1 for count in times.values())
    assert lost <= len(restarts) * play.limit * len(MODELS)
    states = play.states()
    assert len(states) == play.units * play.rows * len(play.columns)
    for number in healthy(play):
        mine = [state for key, state in states.items() if key.endswith(f":{number}")]
        assert set(mine) == {TaskState.SUCCEEDED}


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(words=PLAYS, restarts=RESTARTS)
def test_a_dataset_ends_with_every_healthy_cell_whatever_its_models_and_engines_do(
    words: dict[str, Any], restarts: list[int]
) -> None:
    ends_well(words, restarts)


@pytest.mark.large
@settings(max_examples=5_000, deadline=None, suppress_health_check=QUIET)
@given(words=PLAYS, restarts=RESTARTS)
def test_many_datasets_end_with_every_healthy_cell(words: dict[str, Any], restarts: list[int]) -> None:
    ends_well(words, restarts)


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(words=PLAYS)
def test_the_same_troubles_make_the_same_history(words: dict[str, Any]) -> None:
    first, second = DatasetPlay(**words), DatasetPlay(**words)
    first.play()
    second.play()
    assert first.billed == second.billed
    assert first.states() == second.states()


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(columns=graphs(), trouble=TROUBLES, units=st.integers(2, 8), limit=st.integers(1, 3))
def test_columns_that_no_trouble_reaches_are_as_quick_as_without_it(
    columns: tuple[Column, ...], trouble: Trouble, units: int, limit: int
) -> None:
    ill = DatasetPlay(columns, (trouble,), units=units, limit=limit)
    well = DatasetPlay(columns, (), units=units, limit=limit)
    ill.play()
    well.play()
    ends = []
    for play in (ill, well):
        mine = [one.at for one in play.answered() if int(one.key.rpartition(":")[2]) in healthy(ill)]
        shared = {columns[number].model for number in healthy(ill)} & {trouble.model}
        ends.append(0 if shared else max(mine, default=0))
    assert ends[0] <= ends[1] + 2 * LATENCY


CLOSED = Trouble("m0", retry_after=3_600_000)
"""For ever, and it is never called dead."""


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(columns=graphs(), units=st.integers(8, 40), limit=st.sampled_from((1, 3, 60)))
def test_columns_run_ahead_of_one_that_is_closed_for_ever_however_little_memory_there_is(
    columns: tuple[Column, ...], units: int, limit: int
) -> None:
    play = DatasetPlay(columns, (CLOSED,), units=units, rows=1, limit=limit, guard=40 * BYTES)
    play.play(most=units * LATENCY * len(columns) * 4)
    states = Counter(key.rpartition(":")[2] for key, state in play.states().items() if state is TaskState.SUCCEEDED)
    assert {number: states[str(number)] for number in healthy(play)} == dict.fromkeys(healthy(play), units)


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(columns=graphs(), rows=st.integers(1, 3), guard=st.integers(1, 40), end=st.sampled_from((None, 2_000)))
def test_a_dataset_is_the_same_with_little_memory(
    columns: tuple[Column, ...], rows: int, guard: int, end: int | None
) -> None:
    cooling = Trouble("m0", end=end, retry_after=700)
    found = []
    for most in (None, guard * BYTES):
        play = DatasetPlay(columns, (cooling,), units=10, rows=rows, guard=most)
        play.play()
        assert play.is_over
        found.append(play.states())
    assert found[0] == found[1]


@pytest.mark.parametrize("units", [400, pytest.param(2_000, marks=[pytest.mark.large, pytest.mark.timeout(600)])])
def test_what_is_kept_of_columns_far_ahead_does_not_grow(units: int) -> None:
    columns = [Column(f"m{number}") for number in range(4)]
    play = DatasetPlay(columns, (CLOSED,), units=units, rows=1, limit=4, guard=32 * BYTES, check=False)
    play.play(most=units * LATENCY)
    source = play.world.machine.state.sources[play.run]
    assert len(play.answered("m1", "m2", "m3")) == 3 * units
    assert (len(source.units), len(source.lags)) == (source.left, 1)
    assert source.left <= 16


def test_a_dataset_whose_every_model_is_dead_ends_as_soon_as_that_is_known() -> None:
    play = DatasetPlay([Column("m0"), Column("m1", (0,))], (Trouble("m0", retry_after=1_000),), units=40, rows=20)
    begin = play.world.now
    play.play()
    assert play.is_over
    assert play.world.now - begin < play.dead_after + 10_000
    assert Counter(play.states().values()) == {TaskState.FAILED: 800, TaskState.ABORTED: 800}


def test_a_dead_model_does_not_let_units_run_ahead_of_those_that_live() -> None:
    columns, trouble = [Column("m0"), Column("m1")], Trouble("m0", retry_after=1_000)
    play = DatasetPlay(columns, (trouble,), units=4_000, rows=1, dead_after=5_000, check=False)
    play.play(most=10_000)
    waiting = [state for state in play.states().values() if state is TaskState.READY]
    assert len(waiting) < 10


@pytest.mark.parametrize("units", [256, pytest.param(2_048, marks=pytest.mark.large)])
def test_row_groups_beside_a_cooling_model_get_all_healthy_answers(units: int) -> None:
    columns = [Column(f"m{number}") for number in range(4)]
    cooling = Trouble("m3", retry_after=1_000)
    play = DatasetPlay(columns, (cooling,), units=units, rows=1, limit=4, dead_after=60_000, check=False)
    play.play(most=30_000)
    assert len(play.answered("m0", "m1", "m2")) == 3 * units
    refused = [one.at for one in play.billed if one.model == "m3"]
    assert len(refused) <= 4 + (refused[-1] - refused[0]) / 1_000
