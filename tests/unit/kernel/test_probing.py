"""Probes have 30 s, waits that are asked for are kept whatever the gate, and each run has its wish of a dead pool."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.kernel.events import PoolDeclared, PoolKind, PoolOpened
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.pools import RATE_MARGIN, RatePool
from passloop.kernel.tasks import TaskState
from tests.support.builders import HOUR, MINUTE, SECOND, World, ask

MODEL = PoolName("model")


def endpoint(limit: int = 8, dead_after: int = 2 * MINUTE) -> World:
    """A world with two models under one endpoint."""
    world = World(gpus=0, cpus=64)
    world.declare("endpoint", PoolKind.LIMIT, 100)
    world.send(PoolDeclared(MODEL, PoolKind.LIMIT, limit, PoolName("endpoint"), dead_after=dead_after))
    world.declare("other", PoolKind.LIMIT, limit, parent="endpoint")
    return world


def calls(world: World, n: int, model: str = "model", **words: Any) -> tuple[TaskId, ...]:
    """Calls of a model."""
    return world.submit_many(ask(**{model: 1}), n=n, driver="calls", **words)


def limited(world: World, task: TaskId, **words: Any) -> None:
    """The task's call was answered with 429."""
    world.end(task, "rate_limited", **{"status": 429} | words)


def gate(world: World, name: str = "model") -> str:
    """How a pool is."""
    return next(pool.gate for pool in world.machine.pools(world.now) if pool.name == name)


def probed(world: World, n: int = 10) -> TaskId:
    """Close the model, let its cooldown pass, and give the probe."""
    first, *_ = calls(world, n)
    limited(world, first)
    world.finish(*world.running)
    world.advance(SECOND)
    (probe,) = world.running
    return probe


def dead_until_told(world: World) -> None:
    """A pool dies with five failed probes, of which the last was told to wait for 10 minutes."""
    probe = probed(world)
    for _ in range(4):
        limited(world, probe)
        world.advance(SECOND)
        (probe,) = world.running
    limited(world, probe, retry_after=10 * MINUTE)
    assert gate(world) == "dead"


def test_a_probe_without_an_answer_for_30_s_counts_as_failed_and_the_next_may_try() -> None:
    world = endpoint()
    probe = probed(world)
    world.advance(30 * SECOND - 1)
    assert (gate(world), world.running) == ("half_open", [probe])
    world.advance(1)
    assert gate(world) == "cooling"
    world.advance(SECOND)
    assert gate(world) == "half_open"
    assert len(world.running) == 2
    assert probe in world.running


def test_a_probe_takes_no_place_beside_a_full_limit() -> None:
    world = endpoint(limit=2)
    refused, _running, *waiting = calls(world, 4)
    attempt = world.rows.attempt_of(refused)
    world.send(world.exit_of(refused, "rate_limited", stray=True, status=429))
    world.advance(SECOND)
    assert gate(world) == "half_open"
    assert not set(waiting) & set(world.running)
    assert world.why(waiting[0]) == ["limit"]
    world.stray_gone(attempt.id, attempt.epoch)
    assert len(world.running) == 2


def test_a_probe_that_is_answered_late_opens_the_pool_all_the_same() -> None:
    world = endpoint()
    probe = probed(world, 20)
    world.advance(31 * SECOND)
    world.finish(probe)
    assert gate(world) == "open"
    assert len(world.running) > 2


def test_a_probe_whose_task_runs_out_of_time_is_no_answer() -> None:
    world = endpoint()
    late = probed(world, 20)
    world.end(late, "timeout")
    assert gate(world) == "half_open"
    (late,) = world.running
    world.advance(30 * SECOND)
    world.end(late, "timeout")
    assert gate(world) == "cooling"


def test_an_answer_to_what_was_sent_before_the_pool_closed_opens_nothing() -> None:
    world = endpoint()
    tasks = calls(world, 10)
    limited(world, tasks[0])
    world.advance(SECOND // 2)
    world.finish(tasks[1])
    assert gate(world) == "cooling"


def test_a_hanging_endpoint_becomes_dead() -> None:
    world = endpoint()
    probed(world, 20)
    world.advance(3 * MINUTE)
    assert gate(world) == "dead"


def test_a_restart_knows_that_a_probe_is_under_way() -> None:
    world = endpoint()
    probe = probed(world)
    world.restart()
    assert world.running == [probe]
    world.advance(30 * SECOND)
    assert gate(world) == "cooling"


def test_a_probe_that_called_nobody_passes_to_the_next_task() -> None:
    world = endpoint()
    probe = probed(world)
    world.end(probe, "success", untried=True)
    assert gate(world) == "half_open"
    assert len(world.running) == 1
    assert world.running != [probe]


def test_a_dead_pool_waits_as_long_as_it_is_asked_to() -> None:
    world = endpoint(dead_after=SECOND)
    dead_until_told(world)
    world.advance(10 * MINUTE - SECOND)
    assert world.running == []
    world.advance(2 * SECOND)
    assert len(world.running) == 1


def test_a_new_run_calls_a_dead_pool_no_sooner_than_that_was_told() -> None:
    world = endpoint(dead_after=SECOND)
    dead_until_told(world)
    calls(world, 1)
    assert (gate(world), world.running) == ("cooling", [])
    world.advance(10 * MINUTE - SECOND)
    assert world.running == []
    world.advance(SECOND)
    assert (gate(world), len(world.running)) == ("half_open", 1)


def test_a_user_opens_a_dead_pool_whatever_that_was_told() -> None:
    world = endpoint(dead_after=SECOND)
    dead_until_told(world)
    world.send(PoolOpened(MODEL))
    assert (gate(world), len(world.running)) == ("half_open", 1)


def told_during_its_probe(world: World) -> TaskId:
    """Close the model, give the probe, and let a call of before be told to wait ten minutes."""
    first, late, *_ = calls(world, 8)
    limited(world, first)
    world.finish(*(task for task in world.running if task != late))
    world.advance(SECOND)
    (probe,) = (task for task in world.running if task != late)
    limited(world, late, retry_after=10 * MINUTE)
    return probe


@pytest.mark.parametrize("end", ["rate_limited", "cancelled"])
def test_a_longer_retry_after_that_comes_during_a_probe_is_kept_if_that_is_not_answered(end: str) -> None:
    world = endpoint()
    probe = told_during_its_probe(world)
    assert gate(world) == "half_open"
    world.end(probe, end, status=429 if end == "rate_limited" else None)
    world.restart()
    assert (gate(world), world.running) == ("cooling", [])
    world.advance(10 * MINUTE - SECOND)
    assert world.running == []
    world.advance(SECOND)
    assert (gate(world), len(world.running)) == ("half_open", 1)


def test_an_answered_probe_is_newer_than_a_retry_after_that_came_meanwhile() -> None:
    world = endpoint()
    probe = told_during_its_probe(world)
    world.finish(probe)
    calls(world, 1)
    assert (gate(world), len(world.running)) == ("open", 1)


def test_a_longer_retry_after_is_kept_while_the_pool_waits_for_its_probe() -> None:
    world = endpoint(limit=4)
    world.declare("tokens", PoolKind.RATE, 100)
    first, late = world.submit_many(ask(model=1, tokens=32), n=2, driver="calls")
    world.submit(ask(tokens=32))
    limited(world, first)
    world.advance(2 * SECOND)
    assert (gate(world), world.running[:1]) == ("half_open", [late])
    limited(world, late, retry_after=2 * MINUTE)
    assert gate(world) == "cooling"
    world.advance(2 * MINUTE - SECOND)
    assert first not in world.running


def test_a_task_keeps_its_own_wait_when_another_pool_is_closed_for_less() -> None:
    world = endpoint()
    for _ in range(4):
        world.finish(*calls(world, 7))
    (task,) = calls(world, 1)
    (other,) = calls(world, 1, "other")
    limited(world, other, pool=PoolName("endpoint"), status=401)
    limited(world, task, retry_after=MINUTE)
    assert gate(world) == "open", "one of 29 is sporadic"
    world.advance(2 * SECOND)
    world.finish(*world.running)
    world.advance(MINUTE - 3 * SECOND)
    assert world.running == []
    world.advance(2 * SECOND)
    assert world.running == [task]


def test_a_key_that_is_not_let_in_closes_at_once_whatever_went_well_before() -> None:
    world = endpoint(limit=60)
    world.finish(*calls(world, 50))
    (task,) = calls(world, 1)
    world.end(task, "rate_limited", status=401, pool=PoolName("endpoint"))
    assert gate(world, "endpoint") == "cooling"


def test_a_tasks_own_wait_is_clamped_to_an_hour() -> None:
    world = endpoint(limit=60)
    world.finish(*calls(world, 50))
    (task,) = calls(world, 1)
    limited(world, task, retry_after=10 * HOUR)
    assert world.state(task) is TaskState.BACKOFF
    world.advance(HOUR)
    assert world.running == [task]


def test_each_run_has_its_own_wish_of_a_dead_pool() -> None:
    world = endpoint(limit=1, dead_after=SECOND)
    waits = calls(world, 3, on_dead="wait")
    fails = calls(world, 3, on_dead="fail")
    for _ in range(8):
        for task in world.running:
            limited(world, task)
        world.advance(2 * SECOND)
    assert gate(world) == "dead"
    assert {world.state(task) for task in fails} == {TaskState.FAILED}
    assert {world.state(task) for task in waits} == {TaskState.READY}


def test_a_dead_pool_ends_the_whole_of_a_run_that_wants_that() -> None:
    world = endpoint(limit=1, dead_after=SECOND)
    waits = calls(world, 3, on_dead="wait")
    running, ready = calls(world, 2, "other", on_dead="end")
    fails = calls(world, 3, on_dead="end", run=world.row(running).run)
    for _ in range(8):
        for task in set(world.running) - {running}:
            limited(world, task)
        world.advance(2 * SECOND)
    assert gate(world) == "dead"
    assert {world.state(task) for task in fails} == {TaskState.FAILED}
    assert (world.state(running), world.state(ready)) == (TaskState.STOPPING, TaskState.CANCELLED)
    assert "pool model is dead" in world.row(ready).message
    assert {world.state(task) for task in waits} == {TaskState.READY}


def test_what_becomes_ready_for_a_dead_pool_fails_at_once_if_its_run_wants_that() -> None:
    world = endpoint(limit=1, dead_after=SECOND)
    calls(world, 3)
    (before,) = calls(world, 1, "other")
    (after,) = calls(world, 1, after=[before], on_dead="fail")
    (last,) = calls(world, 1, "other", after=[after])
    for _ in range(8):
        for task in [task for task in world.running if task != before]:
            limited(world, task)
        world.advance(2 * SECOND)
    assert gate(world) == "dead"
    assert world.state(after) is TaskState.WAITING
    world.finish(before)
    assert world.state(after) is TaskState.FAILED
    assert world.state(last) is TaskState.ABORTED


def test_a_failure_that_somebody_else_counts_costs_none_of_the_budget() -> None:
    world = endpoint()
    (task,) = calls(world, 1)
    for _ in range(5):
        world.end(task, "failure", uncounted=True)
        assert world.state(task) is TaskState.RUNNING
    world.end(task, "failure", final=True)
    assert world.state(task) is TaskState.FAILED


def test_a_limit_that_was_never_lowered_grows_with_its_pool() -> None:
    world = endpoint(limit=2)
    calls(world, 20)
    assert len(world.running) == 2
    world.declare("model", PoolKind.LIMIT, 6, parent="endpoint")
    assert len(world.running) == 6


@pytest.mark.no_cover
def test_a_rate_is_small_however_much_is_drawn_and_survives_a_restart() -> None:
    world = World(gpus=0)
    world.declare("requests", PoolKind.RATE, 10_000)
    for _ in range(50):
        world.finish(*world.submit_many(ask(requests=1), n=100))
        world.advance(20)
    pool = world.machine.state.pools["requests"]
    assert isinstance(pool, RatePool)
    assert len(pool.draws(world.now)) <= 3
    world.restart()
    assert world.machine.state.pools["requests"].free(world.now) == 5_000
    world.advance(MINUTE + RATE_MARGIN)
    assert world.machine.state.pools["requests"].free(world.now) == 10_000


def test_a_draw_is_corrected_after_a_restart_too() -> None:
    world = World(gpus=0)
    world.declare("tokens", PoolKind.RATE, 100)
    task = world.submit(ask(tokens=64))
    world.restart()
    world.end(task, "success", used=((PoolName("tokens"), 10),))
    assert world.machine.state.pools["tokens"].free(world.now) == 90


def test_a_call_that_was_not_made_gives_its_draws_back() -> None:
    world = World(gpus=0)
    world.declare("tokens", PoolKind.RATE, 100)
    world.end(world.submit(ask(tokens=64)), "success", untried=True)
    assert world.machine.state.pools["tokens"].free(world.now) == 100


def test_a_pool_that_has_just_opened_is_not_closed_by_one_sporadic_refusal() -> None:
    world = endpoint()
    world.finish(probed(world, 40))
    assert gate(world) == "open"
    limited(world, world.running[0])
    assert gate(world) == "open"
    for task in world.running[:2]:
        limited(world, task)
    assert gate(world) == "cooling"
