"""Laws of admission that compare whole histories: isolation, and the shadow time as a promise."""

from __future__ import annotations

import heapq
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from passloop.kernel.changes import Turn
from passloop.kernel.events import Event, PoolKind
from passloop.kernel.ids import TaskId
from passloop.kernel.instructions import Start
from passloop.kernel.resources import Variant
from tests.support.builders import MINUTE, SECOND, World, ask
from tests.support.waking import time_alone_changes_nothing

EXAMPLES = 100
REFILLS = 60
"""So many minutes after the last end are enough for rates alone to start what is left."""
IN_VAIN_MOST = 200
"""So many wake-ups for each task may change nothing: the end of who outruns a bound is reckoned anew in steps of
1 in 32, from half a minute to an hour."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A task to come: after `gap` ms, asking this, ending `millis` after its start, with this limit."""

    gap: int
    variant: Variant
    millis: int
    limit: int | None
    priority: int = 0
    patience: int | None = None


def _planned(variants: Sequence[Variant], limits: st.SearchStrategy[bool]) -> st.SearchStrategy[Planned]:
    def make(gap: int, variant: Variant, minutes: int, limited: bool, slack: int) -> Planned:
        millis = minutes * MINUTE
        return Planned(gap * SECOND, variant, millis, millis * slack if limited else None)

    return st.builds(
        make, st.integers(0, 300), st.sampled_from(variants), st.integers(1, 60), limits, st.integers(1, 3)
    )


def _stubborn(variants: Sequence[Variant]) -> st.SearchStrategy[Planned]:
    """Tasks that come fast, some of which run on beyond their limits."""
    return st.builds(
        Planned,
        gap=st.sampled_from((0, SECOND, 20 * SECOND, MINUTE)),
        variant=st.sampled_from(variants),
        millis=st.integers(1, 60).map(lambda minutes: minutes * MINUTE),
        limit=st.sampled_from((None, 20 * SECOND, MINUTE, 10 * MINUTE, 60 * MINUTE)),
        priority=st.sampled_from((0, 0, 0, 1)),
        patience=st.sampled_from((None, 0, 0, 5 * MINUTE)),
    )


def play(world: World, plan: Iterable[Planned], how: str = "success") -> dict[int, TaskId]:
    """Let the plan happen, each task ending its run time after its start; gives the task of each step."""
    made: dict[int, TaskId] = {}
    ends: list[tuple[int, TaskId]] = []
    spans: dict[TaskId, int] = {}
    seen = 0

    def note_starts() -> None:
        nonlocal seen
        for when, task in world.starts[seen:]:
            heapq.heappush(ends, (when + spans[task], task))
        seen = len(world.starts)

    def run_until(until: int | None) -> None:
        while ends and (until is None or ends[0][0] <= until):
            when, task = ends[0]
            world.advance(max(0, when - world.now))
            note_starts()
            if ends[0] == (when, task):
                heapq.heappop(ends)
                world.end(task, how)
                note_starts()
        if until is not None:
            world.advance(max(0, until - world.now))
            note_starts()

    for step, planned in enumerate(plan):
        run_until(world.now + planned.gap)
        task = world.submit(planned.variant, limit=planned.limit, priority=planned.priority, patience=planned.patience)
        spans[task] = planned.millis
        made[step] = task
        note_starts()
    run_until(None)
    for _ in range(REFILLS):
        if not world.rows.live():
            break
        run_until(world.now + MINUTE)  # what a rate is to be refilled for starts once nothing else is there to end
        run_until(None)
    return made


GPU_SIDE = (ask(gpus=1), ask(gpus=2), ask(gpus=4), ask(share=0.5), ask(share=0.25), ask(gpus=3))
CPU_SIDE = (ask(cpus=1), ask(cpus=4), ask(cpus=8), ask(cpus=6))


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    cpu_side=st.lists(_planned(CPU_SIDE, st.booleans()), min_size=1, max_size=12),
    gpu_side=st.lists(_planned(GPU_SIDE, st.booleans()), min_size=1, max_size=12),
)
def test_work_is_admitted_as_if_a_blocked_task_that_shares_nothing_did_not_exist(
    cpu_side: list[Planned], gpu_side: list[Planned]
) -> None:
    """Invariant 5, both ways: two halves that share no pool start alike alone and together."""
    assert _start_times(cpu_side, []) == _start_times(cpu_side, gpu_side)
    assert _start_times(gpu_side, []) == _start_times(gpu_side, cpu_side)


def _start_times(side: list[Planned], others: list[Planned]) -> list[int]:
    """Start times of one side when the other side's tasks come between, at times of their own.

    All end as failures, so that the halves do not learn run times from each other.
    """
    steps = sorted(
        [(when, 0, one) for when, one in _timed(side)] + [(when, 1, one) for when, one in _timed(others)],
        key=lambda step: step[:2],
    )
    world = World(gpus=4, cpus=8)
    clock = 0
    plan = []
    for when, _, one in steps:
        plan.append(Planned(when - clock, one.variant, one.millis, one.limit))
        clock = when
    made = play(world, plan, how="failure")
    return [world.started_at(made[step]) or 0 for step, (_, other, _) in enumerate(steps) if not other]


def _timed(side: Iterable[Planned]) -> list[tuple[int, Planned]]:
    clock = 0
    timed = []
    for one in side:
        clock += one.gap
        timed.append((clock, one))
    return timed


MIXED = (*GPU_SIDE, ask(gpus=1, cpus=2), ask(gpus=4, cpus=8), ask(gpus=2, cpus=6), ask(cpus=4), ask(cpus=8))


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=st.lists(_planned(MIXED, st.just(True)), min_size=2, max_size=25))
def test_a_head_never_starts_after_its_first_shadow_time_when_limits_are_kept(plan: list[Planned]) -> None:
    """Invariant 4, with enforced limits that every task keeps."""
    world = World(gpus=4, cpus=8)
    promised = _Promises(world)
    play(promised.world, plan)
    for task, shadow in promised.first.items():
        started = world.started_at(task)
        assert started is not None
        assert started <= shadow, f"task {task} was promised {shadow} and started at {started}"


class WakingWorld(World):
    """A world that is asked after each turn whether it sleeps too long, and counts what it wakes for in vain."""

    def __init__(self, **words: Any) -> None:
        self.in_vain = 0
        self.judged = False
        super().__init__(**words)
        self.judged = True

    def _handle(self, events: Sequence[Event], seed: int) -> Turn:
        turn = super()._handle(events, seed)
        if self.judged and not any(isinstance(order, Start) for order in turn.instructions):
            time_alone_changes_nothing(self)
            self.in_vain += not events and not turn.changes
        return turn


WITH_RATES = (*MIXED, ask(gpus=1, tokens=40), ask(gpus=3, tokens=20), ask(cpus=2, tokens=60), ask(tokens=30))


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=st.lists(_stubborn(WITH_RATES), min_size=5, max_size=25))
def test_nobody_comes_to_fit_between_two_wake_ups_and_few_are_in_vain(plan: list[Planned]) -> None:
    world = WakingWorld(gpus=4, cpus=8)
    world.declare("tokens", PoolKind.RATE, 100)
    play(world, plan)
    assert world.rows.live() == []
    assert world.in_vain <= IN_VAIN_MOST * len(plan), f"{world.in_vain} wake-ups of {len(plan)} tasks were in vain"


class _Promises:
    """The first shadow time of every task that ever reserved, read from the rows as they are kept."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.first: dict[TaskId, int] = {}
        keep = world.rows.keep

        def keep_and_note(changes: Iterable[object], now: int) -> None:
            keep(changes, now)  # type: ignore[arg-type]
            self._note()

        world.rows.keep = keep_and_note  # type: ignore[method-assign,assignment]

    def _note(self) -> None:
        for task, row in self.world.rows.tasks.items():
            if row.reservation is not None and row.reservation.shadow is not None:
                self.first.setdefault(TaskId(task), row.reservation.shadow)


@settings(max_examples=EXAMPLES, deadline=None)
@given(plan=st.lists(_planned(MIXED, st.booleans()), min_size=2, max_size=25))
def test_nobody_waits_for_ever_behind_work_of_its_own_priority(plan: list[Planned]) -> None:
    """Every task starts: when the last has ended nothing is left."""
    world = World(gpus=4, cpus=8)
    play(world, plan)
    assert world.rows.live() == []


REPLAY = """
import random
from tests.support.builders import World, ask, MINUTE
world = World(gpus=4, cpus=8)
chance = random.Random(7)
variants = [ask(gpus=1), ask(gpus=2, cpus=3), ask(gpus=4), ask(share=0.5), ask(cpus=5), ask(gpus=1, model=1)]
from passloop.kernel.events import PoolKind
world.declare("model", PoolKind.LIMIT, 2)
for _ in range(120):
    world.submit(chance.choice(variants), group=chance.choice("abc"), priority=chance.choice((0, 0, 1)))
    if world.running and chance.random() < 0.6:
        world.end(chance.choice(world.running), chance.choice(["success", "failure", "lost", "rate_limited"]))
    world.advance(chance.choice((0, 1000, MINUTE, 20 * MINUTE)))
print([(turn.changes, turn.instructions, turn.wake_at) for turn in world.turns])
"""


@pytest.mark.timeout(120)
def test_a_pass_does_not_depend_on_how_names_are_hashed() -> None:
    """Invariant 9: two interpreters with different hash seeds decide the same."""
    told = {
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(told) == 1
