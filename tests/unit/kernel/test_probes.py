"""The probes that every release must pass, in kernel terms; each incumbent fails one. D and F live with the
engine.
"""

from __future__ import annotations

import heapq

import pytest
from benchmarks.policies.compare import compare_mixed, compare_stream

from passloop.kernel.ids import TaskId
from passloop.kernel.resources import Variant
from passloop.kernel.tasks import TaskState
from tests.support.builders import GIB, HOUR, MINUTE, SECOND, World, ask


class Stream:
    """Tasks that end by themselves, each a fixed time after its start."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.spans: dict[TaskId, int] = {}
        self.ends: list[tuple[int, TaskId]] = []
        self._noted = 0

    def submit(self, variant: Variant, millis: int, **words: int) -> TaskId:
        """Submit a task that runs for `millis`."""
        task = self.world.submit(variant, **words)
        self.spans[task] = millis
        self._note()
        return task

    def _note(self) -> None:
        for when, task in self.world.starts[self._noted :]:
            heapq.heappush(self.ends, (when + self.spans[task], task))
        self._noted = len(self.world.starts)

    def run(self, millis: int) -> None:
        """Let time pass; whatever is due ends."""
        until = self.world.now + millis
        while self.ends and self.ends[0][0] <= until:
            when = self.ends[0][0]
            self.world.advance(max(0, when - self.world.now))
            self._note()
            while self.ends[0][0] <= when:
                self.world.finish(heapq.heappop(self.ends)[1])
                self._note()
                if not self.ends:
                    break
        self.world.advance(max(0, until - self.world.now))
        self._note()


def test_probe_a_an_eight_gpu_task_is_overtaken_only_within_its_patience() -> None:
    world = World(gpus=8, check=False)
    stream = Stream(world)
    for _ in range(8):
        stream.submit(ask(gpus=1), 10 * MINUTE)
    large = stream.submit(ask(gpus=8), HOUR, patience=5 * MINUTE)
    small = [stream.submit(ask(gpus=1), 10 * MINUTE) for _ in range(300)]
    stream.run(20 * MINUTE)
    started = world.started_at(large)
    assert started is not None
    overtook = [task for task in small if (world.started_at(task) or started) < started]
    assert overtook == []


def test_probe_a_with_enforced_limits_nobody_overtakes_who_would_delay() -> None:
    world = World(gpus=8, check=False)
    stream = Stream(world)
    stream.submit(ask(gpus=1), 10 * MINUTE, limit=10 * MINUTE)
    large = stream.submit(ask(gpus=8), HOUR, limit=HOUR)
    small = [stream.submit(ask(gpus=1), 30 * MINUTE, limit=30 * MINUTE) for _ in range(300)]
    stream.run(2 * HOUR)
    started = world.started_at(large)
    assert started is not None
    assert [task for task in small if (world.started_at(task) or started) < started] == []


def test_probe_a_what_ends_before_the_shadow_time_may_pass() -> None:
    world = World(gpus=8)
    stream = Stream(world)
    stream.submit(ask(gpus=1), 10 * MINUTE, limit=10 * MINUTE)
    large = stream.submit(ask(gpus=8), HOUR, limit=HOUR)
    quick = stream.submit(ask(gpus=1), 5 * MINUTE, limit=5 * MINUTE)
    assert world.state(quick) is TaskState.RUNNING
    stream.run(10 * MINUTE)
    assert world.started_at(large) == world.now


def test_probe_b_a_task_that_needs_only_memory_starts_at_once_behind_blocked_gpu_tasks() -> None:
    world = World(gpus=1, memory=64 * GIB)
    world.submit(gpus=1, memory=8 * GIB)
    blocked = world.submit_many(gpus=1, memory=8 * GIB, n=20, patience=0)
    light = world.submit(memory=16 * GIB)
    assert world.state(light) is TaskState.RUNNING
    assert {world.state(task) for task in blocked} == {TaskState.READY}


def test_probe_c_two_one_gpu_tasks_submitted_together_on_a_one_gpu_box_both_finish() -> None:
    world = World(gpus=1)
    first, second = world.submit_many(gpus=1, n=2)
    assert world.running == [first]
    world.finish(first)
    assert world.running == [second]
    world.finish(second)
    assert world.rows.live() == []


PROBE_E = {"enforced": 0.01, "learned": 0.04, "none": 0.06}


def _gaps_to_exact_easy(seeds: int, tasks: int) -> dict[str, float]:
    figures = compare_mixed(seeds=range(seeds), tasks=tasks, cores=2, names=("easy", *PROBE_E))
    return {name: figures["easy"].utilisation - figures[name].utilisation for name in PROBE_E}


@pytest.mark.no_cover
@pytest.mark.timeout(300)
def test_probe_e_utilisation_is_close_to_exact_easy_on_the_mixed_load() -> None:
    gaps = _gaps_to_exact_easy(seeds=2, tasks=1_500)
    for bounds, allowed in PROBE_E.items():
        assert gaps[bounds] <= allowed, gaps


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_probe_e_at_length() -> None:
    gaps = _gaps_to_exact_easy(seeds=12, tasks=1_500)
    for bounds, allowed in PROBE_E.items():
        assert gaps[bounds] <= allowed, gaps


@pytest.mark.no_cover
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bounds", ["enforced", "learned", "none"])
def test_probe_e_an_endless_stream_of_small_tasks_does_not_starve_a_large_one(bounds: str) -> None:
    waits = compare_stream(seeds=[0], hours=30, cores=1, names=(bounds,))
    assert max(waits[bounds]) < 8


def test_probe_g_a_task_that_lacks_two_pools_starts_under_streams_that_each_lack_one() -> None:
    world = World(gpus=8, memory=1_000 * GIB, check=False)
    stream = Stream(world)
    run_time = 20 * MINUTE
    large = None
    for step in range(120):
        stream.submit(ask(gpus=2), run_time)
        stream.submit(ask(memory=300 * GIB), run_time)
        if step == 12:
            large = stream.submit(ask(gpus=8, memory=500 * GIB), run_time)
        stream.run(5 * MINUTE)
    assert large is not None
    started = world.started_at(large)
    assert started is not None
    assert started - world.row(large).submitted_at <= 2 * run_time + 2 * run_time + MINUTE


def test_probe_g_with_a_patience_of_its_own() -> None:
    world = World(gpus=8, memory=1_000 * GIB)
    stream = Stream(world)
    for _ in range(4):
        stream.submit(ask(gpus=2), HOUR)
    stream.submit(ask(memory=700 * GIB), HOUR)
    large = stream.submit(ask(gpus=8, memory=500 * GIB), HOUR, patience=0)
    assert world.reserved(large)
    stream.submit(ask(gpus=1), 10 * SECOND)
    stream.submit(ask(memory=200 * GIB), 10 * SECOND)
    stream.run(HOUR)
    assert world.started_at(large) == world.now
