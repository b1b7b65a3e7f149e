"""Closed pools: an outcome acts on the pool it speaks of, one probe opens it, and nobody stampedes."""

from __future__ import annotations

import json

from passloop.kernel.changes import PoolChanged
from passloop.kernel.cooldowns import jittered
from passloop.kernel.events import PoolKind, PoolOpened, Started, StrayGone
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.pools import RATE_MARGIN
from passloop.kernel.saved import Saved
from passloop.kernel.tasks import TaskState
from tests.support.builders import HOUR, MINUTE, SECOND, World, ask, outcome
from tests.support.mirrored import differences


def endpoint(limit: int = 8) -> World:
    """A world with two models under one endpoint."""
    world = World(gpus=0, cpus=64)
    world.declare("endpoint", PoolKind.LIMIT, 100)
    world.declare("model", PoolKind.LIMIT, limit, parent="endpoint")
    world.declare("other", PoolKind.LIMIT, limit, parent="endpoint")
    return world


def calls(world: World, n: int, model: str = "model") -> tuple[TaskId, ...]:
    """Calls of a model."""
    return world.submit_many(ask(**{model: 1}), n=n, driver="calls")


def limited(world: World, task: TaskId, retry_after: int | None = None) -> None:
    """The task's call was answered with 429."""
    world.end(task, "rate_limited", status=429, retry_after=retry_after)


def test_who_asks_a_closed_pool_keeps_nothing_from_those_who_do_not_ask_it() -> None:
    """It could not start though all our work ended now, so it is no head; else it would keep the CPUs meanwhile."""
    world = World(gpus=0, cpus=2)
    world.declare("model", PoolKind.LIMIT, 2)
    first, second = calls(world, 2)
    holder = world.submit(cpus=2, limit=MINUTE)
    waits = world.submit(ask(cpus=2, model=1), patience=0)
    limited(world, first, retry_after=10 * MINUTE)
    limited(world, second, retry_after=10 * MINUTE)
    others = world.submit_many(cpus=1, n=2)
    world.finish(holder)
    assert [world.state(task) for task in others] == [TaskState.RUNNING] * 2
    assert not world.reserved(waits)
    assert "cooling" in world.why(waits)


def test_a_limit_pool_admits_at_most_its_limit() -> None:
    world = endpoint(limit=3)
    calls(world, 10)
    assert len(world.running) == 3


def test_a_childs_draw_counts_at_its_parent() -> None:
    world = endpoint()
    world.declare("endpoint", PoolKind.LIMIT, 5)
    calls(world, 4)
    calls(world, 4, "other")
    assert len(world.running) == 5


def test_a_429_closes_its_model_and_leaves_the_others() -> None:
    world = endpoint(limit=2)
    first, second, third = calls(world, 3)
    limited(world, first)
    assert world.state(first) not in (TaskState.FAILED, TaskState.RUNNING)
    assert world.state(third) is TaskState.READY
    assert world.why(third)[0] == "cooling"
    (other,) = calls(world, 1, "other")
    assert world.state(other) is TaskState.RUNNING
    world.finish(second)
    assert world.state(third) is TaskState.READY


def test_after_the_cooldown_one_probe_goes_and_opens_the_pool() -> None:
    world = endpoint(limit=8)
    tasks = calls(world, 20)
    limited(world, tasks[0])
    world.finish(*tasks[1:8])
    assert world.running == []
    world.advance(2 * SECOND)
    assert len(world.running) == 1
    assert world.why(tasks[-1])[0] == "probing"
    world.finish(*world.running)
    assert len(world.running) == 6


def test_a_failed_probe_cools_again() -> None:
    world = endpoint(limit=8)
    tasks = calls(world, 20)
    limited(world, tasks[0])
    world.finish(*tasks[1:8])
    world.advance(2 * SECOND)
    limited(world, *world.running)
    assert world.running == []
    world.advance(2 * SECOND)
    assert len(world.running) == 1


def test_a_cancelled_probe_passes_to_the_next_task() -> None:
    world = endpoint(limit=1)
    first, _, _ = calls(world, 3)
    limited(world, first)
    world.advance(2 * SECOND)
    (probe,) = world.running
    world.cancel(probe)
    world.end(probe, "cancelled")
    assert len(world.running) == 1
    assert world.running != [probe]


def test_a_retry_after_is_honoured_up_to_an_hour() -> None:
    world = endpoint()
    first, *_ = calls(world, 9)
    limited(world, first, retry_after=10 * HOUR)
    world.finish(*world.running)
    world.advance(50 * MINUTE)
    assert world.running == []
    world.advance(10 * MINUTE + SECOND)
    assert len(world.running) == 1


def test_late_429s_of_one_burst_change_nothing_but_a_longer_retry_after() -> None:
    world = endpoint()
    tasks = calls(world, 10)
    limited(world, tasks[0], retry_after=10 * SECOND)
    for task in tasks[1:4]:
        limited(world, task, retry_after=SECOND)
    limited(world, tasks[4], retry_after=60 * SECOND)
    world.finish(*world.running)
    world.advance(50 * SECOND)
    assert world.running == []
    world.advance(20 * SECOND)
    assert len(world.running) == 1


def lower_to_six(world: World, task: TaskId) -> None:
    """A refusal among eight, and the pause after it: six run at once."""
    limited(world, task)
    world.finish(*world.running)
    world.advance(2 * SECOND)
    world.finish(*world.running)
    assert len(world.running) == 6


def test_a_burst_lowers_the_limit_once() -> None:
    world = endpoint(limit=8)
    tasks = calls(world, 30)
    for task in tasks[:8]:
        limited(world, task)
    world.advance(2 * SECOND)
    world.finish(*world.running)
    assert len(world.running) == 6


def test_25_successes_raise_the_limit_by_one() -> None:
    world = endpoint(limit=8)
    tasks = calls(world, 100)
    lower_to_six(world, tasks[0])
    for _ in range(25):
        world.finish(world.running[0])
    assert len(world.running) == 7


def successes_until(world: World, limit: int) -> int:
    """How many calls are answered until so many run at once."""
    count = 0
    while len(world.running) < limit:
        world.finish(world.running[0])
        count += 1
        assert count < 1_000
    return count


def burst(world: World) -> None:
    """All that runs is refused; after the pause as many run as the limit lets."""
    for task in world.running:
        limited(world, task)
    world.advance(3 * SECOND)
    world.finish(*world.running)


def test_the_step_to_a_limit_that_failed_wants_twice_as_many_each_time() -> None:
    world = endpoint(limit=8)
    calls(world, 2_000)
    for wanted in (50, 100, 200):
        burst(world)
        assert successes_until(world, 7) <= 25
        assert successes_until(world, 8) == wanted


def test_a_limit_that_held_is_no_longer_in_doubt() -> None:
    world = endpoint(limit=8)
    calls(world, 2_000)
    for _ in range(3):
        burst(world)
        assert successes_until(world, 7) <= 25
        assert successes_until(world, 8) == 50
        for _ in range(60):
            world.finish(world.running[0])


def test_where_all_is_well_for_long_a_success_changes_no_pool() -> None:
    world = endpoint(limit=4)
    calls(world, 100)
    for _ in range(50):
        world.finish(world.running[0])
    turn = world.finish(world.running[0])
    assert [change for change in turn.changes if isinstance(change, PoolChanged)] == []


def test_a_limit_that_was_lowered_twice_is_lowered_from_what_is_in_force() -> None:
    world = endpoint(limit=8)
    tasks = calls(world, 100)
    lower_to_six(world, tasks[0])
    world.declare("model", PoolKind.LIMIT, 4, parent="endpoint")
    world.finish(*world.running)
    world.finish(*world.running)
    for task in world.running:
        limited(world, task)
    world.advance(2 * SECOND)
    world.finish(*world.running)
    assert len(world.running) == 3


def test_a_call_that_waits_for_a_place_reserves_nothing_and_is_first_when_one_is_free() -> None:
    world = endpoint(limit=2)
    world.declare("endpoint", PoolKind.LIMIT, 3)
    tasks = calls(world, 3)
    calls(world, 20, "other")
    for _ in range(6):
        world.finish(next(task for task in world.running if task not in tasks))
        assert world.state(tasks[2]) is TaskState.READY
    assert all(saved.row.reservation is None for saved in world.rows.saved().tasks)
    world.finish(tasks[0])
    assert world.state(tasks[2]) is TaskState.RUNNING


def test_a_start_that_is_told_late_counts_from_when_it_was_but_never_from_before_it_was_decided() -> None:
    world = World(gpus=0, auto_start=False)
    first, second = (world.rows.attempt_of(world.submit(ask(cpus=1))) for _ in range(2))
    decided = world.now
    world.advance(SECOND)
    world.send(Started(first.id, first.epoch, ago=400), Started(second.id, second.epoch, ago=HOUR))
    assert world.rows.attempt_of(first.task).started_at == world.now - 400
    assert world.rows.attempt_of(second.task).started_at == decided


def test_a_sporadic_429_delays_that_task_only() -> None:
    world = endpoint(limit=4)
    tasks = calls(world, 100)
    for _ in range(50):
        world.finish(world.running[0])
    victim = world.running[0]
    limited(world, victim)
    assert len(world.running) == 4
    assert world.state(victim) is TaskState.BACKOFF
    world.advance(2 * SECOND)
    assert world.state(victim) is TaskState.READY
    assert world.why(tasks[-1])[0] in ("limit", "pool_busy")


def chequered(period: int) -> World:
    """An endpoint after 20 answers, of whose next 60 calls each `period`-th is refused."""
    world = endpoint(limit=4)
    calls(world, 200)
    for number in range(80):
        if world.running and number >= 20 and not number % period:
            limited(world, world.running[0])
        elif world.running:
            world.finish(world.running[0])
    return world


def test_single_refusals_among_answers_do_not_close_a_pool_though_more_than_a_tenth_were_refused() -> None:
    assert len(chequered(8).running) == 4


def test_two_refusals_in_a_row_are_still_chance() -> None:
    world = endpoint(limit=4)
    calls(world, 200)
    for number in range(80):
        if number >= 20 and number % 14 in (0, 1):
            limited(world, world.running[0])
        else:
            world.finish(world.running[0])
    assert len(world.running) == 4


def test_refusals_that_are_more_than_a_fifth_close_a_pool_though_each_comes_alone() -> None:
    assert chequered(4).running == []


def test_refusals_one_after_the_other_close_a_pool_once_they_are_more_than_a_tenth() -> None:
    world = endpoint(limit=4)
    calls(world, 100)
    for _ in range(50):
        world.finish(world.running[0])
    for refused in range(1, 7):
        assert len(world.running) == 4, refused
        limited(world, world.running[0])
    assert len(world.running) == 3, "those that were under way go on, nobody starts"


def test_rate_limits_cost_no_attempts() -> None:
    world = endpoint(limit=1)
    (task,) = calls(world, 1)
    for _ in range(30):
        limited(world, task)
        world.advance(2 * MINUTE)
        assert world.state(task) is TaskState.RUNNING
    row = world.row(task)
    assert (row.failures, row.losses, row.timeouts) == (0, 0, 0)


def test_rate_limits_end_at_the_deadline() -> None:
    world = endpoint(limit=1)
    task = world.submit(ask(model=1), driver="calls", deadline=10 * MINUTE)
    for _ in range(40):
        if world.running:
            limited(world, task)
        world.advance(MINUTE)
    assert world.state(task) is TaskState.FAILED
    assert "deadline" in world.row(task).message


def test_a_pool_that_never_answers_is_dead_and_probed_each_minute() -> None:
    world = endpoint(limit=1)
    (task,) = calls(world, 1)
    for _ in range(20):
        limited(world, task)
        world.advance(65 * SECOND)
    limited(world, task)
    assert world.why(task)[0] == "dead"
    world.advance(30 * SECOND)
    assert world.running == []
    world.advance(35 * SECOND)
    assert world.running == [task]
    world.finish(task)
    (later,) = calls(world, 1)
    assert world.state(later) is TaskState.RUNNING


def test_a_closed_parent_closes_its_children() -> None:
    world = endpoint()
    first, *_ = calls(world, 1)
    world.end(first, "rate_limited", status=401, pool=PoolName("endpoint"))
    (other,) = calls(world, 1, "other")
    assert world.state(other) is TaskState.READY
    assert world.why(other)[0] == "cooling"


def test_all_models_closed_at_once_close_the_endpoint() -> None:
    world = endpoint()
    (first,), (second,) = calls(world, 1), calls(world, 1, "other")
    limited(world, first, retry_after=30 * SECOND)
    limited(world, second, retry_after=30 * SECOND)
    states = {name: pool.state for name, pool in world.rows.pools.items()}
    assert "cooling" in states["endpoint"]


def test_a_user_opens_a_pool_for_a_probe() -> None:
    world = endpoint()
    tasks = calls(world, 10)
    limited(world, tasks[0], retry_after=HOUR)
    world.finish(*world.running)
    world.send(PoolOpened(PoolName("model")))
    assert len(world.running) == 1


def test_a_restart_does_not_stampede_a_cooling_pool() -> None:
    world = endpoint()
    tasks = calls(world, 10)
    limited(world, tasks[0], retry_after=HOUR)
    world.finish(*world.running)
    world.restart()
    world.restart()
    world.advance(HOUR - SECOND)
    assert world.running == []
    world.advance(2 * SECOND)
    assert len(world.running) == 1


def test_a_thousand_tasks_park_on_one_closed_pool_with_one_wake_up() -> None:
    world = endpoint(limit=1)
    world.check = False
    tasks = calls(world, 1_000)
    limited(world, tasks[0], retry_after=HOUR)
    passes = world.machine.passes
    world.advance(30 * MINUTE)
    assert world.machine.passes == passes


# Rates.


def rated(budget: int = 100) -> World:
    """A world with a budget of tokens per minute."""
    world = World(gpus=0)
    world.declare("tokens", PoolKind.RATE, budget)
    return world


def test_no_minute_holds_more_than_the_rate() -> None:
    world = rated()
    world.submit_many(ask(tokens=32), n=20)
    started = []
    for _ in range(10):
        world.finish(*world.running)
        started.append(len(world.started))
        world.advance(MINUTE + RATE_MARGIN)
    assert started == [3 * (step + 1) if 3 * (step + 1) < 20 else 20 for step in range(10)]


def test_an_ask_above_the_rate_is_refused() -> None:
    assert rated(100).refusal(tokens=101).code == "never_fits"


def test_a_correction_may_put_a_rate_in_debt() -> None:
    world = rated(100)
    first = world.submit(tokens=64)
    world.end(first, "success", used=((PoolName("tokens"), 180),))
    second = world.submit(tokens=16)
    assert world.state(second) is TaskState.READY
    assert world.why(second)[0] == "rate"
    world.advance(MINUTE + RATE_MARGIN)
    assert world.state(second) is TaskState.RUNNING


def test_a_correction_gives_back_what_was_not_used() -> None:
    world = rated(100)
    first = world.submit(tokens=64)
    second = world.submit(tokens=64)
    assert world.state(second) is TaskState.READY
    world.end(first, "success", used=((PoolName("tokens"), 10),))
    assert world.state(second) is TaskState.RUNNING


def test_a_correction_does_not_wait_for_a_stray() -> None:
    world = rated(100)
    first = world.submit(tokens=32)
    world.send(world.exit_of(first, "success", stray=True, used=((PoolName("tokens"), 90),)))
    assert world.state(world.submit(tokens=32)) is TaskState.READY


def test_a_draw_that_was_corrected_before_a_restart_is_corrected_once() -> None:
    world = rated(100)
    first = world.submit(tokens=64)
    ended = world.exit_of(first, "success", stray=True, used=((PoolName("tokens"), 90),))
    world.send(ended)
    world.restart()
    world.send(StrayGone(ended.attempt, ended.epoch))
    assert world.state(world.submit(tokens=8)) is TaskState.RUNNING
    assert world.state(world.submit(tokens=4)) is TaskState.READY


def test_a_restart_forgets_no_draw() -> None:
    world = rated(100)
    world.finish(world.submit(tokens=64))
    world.restart()
    assert world.state(world.submit(tokens=64)) is TaskState.READY


def test_a_correction_after_its_minute_changes_nothing() -> None:
    world = rated(100)
    task = world.submit(tokens=64)
    world.advance(2 * MINUTE)
    world.send(PoolOpened(PoolName("tokens")))
    assert world.state(world.submit(tokens=64)) is TaskState.RUNNING
    world.end(task, "success", used=((PoolName("tokens"), 200),))
    world.advance(2 * MINUTE)
    assert world.state(world.submit(tokens=64)) is TaskState.RUNNING


def test_a_restart_draws_nothing_twice() -> None:
    world = rated(100)
    world.submit(tokens=32)
    world.restart()
    assert world.state(world.submit(tokens=64)) is TaskState.RUNNING


def test_a_head_that_lacks_a_rate_does_not_keep_a_half_open_pool_from_its_probe() -> None:
    world = World(gpus=0, cpus=8)
    world.declare("model", PoolKind.LIMIT, 3)
    world.declare("tokens", PoolKind.RATE, 100)
    first, second, _ = world.submit_many(ask(model=1, tokens=30), n=3, driver="calls")
    limited(world, first)
    limited(world, second)
    prober = world.submit(ask(model=1), driver="calls")
    world.advance(2 * SECOND)
    assert world.state(prober) is TaskState.RUNNING


def test_jitter_only_adds_a_tenth_and_a_quarter_of_a_second_at_most() -> None:
    seeds = range(0, 2**31, 2**31 // 1_000)
    for wait, most in ((SECOND, 100), (10 * SECOND, 250), (HOUR, 250)):
        added = [jittered(wait, seed) - wait for seed in seeds]
        assert min(added) == 0
        assert most * 9 // 10 < max(added) <= most


def test_outcomes_that_an_old_store_kept_one_by_one_count_as_before() -> None:
    pool = {"capacity": 3, "parent": None, "dead_after": 120_000, "on_dead": "wait"}
    gate = {"limit": 3, "until": None, "cycles": 0, "probe": None, "failed_probes": 0, "closed_at": None}
    for well, keeps_open in ((19, True), (3, False)):
        kept = pool | {"closure": gate | {"lowered_at": -1, "successes": 0, "gate": "open", "recent": [True] * well}}
        row = PoolChanged("model", PoolKind.LIMIT, json.dumps(kept))
        closure = Machine.restore(Saved(pools=(row,))).state.pools["model"].closure
        assert closure is not None
        assert closure.fail(outcome("rate_limited", status=429), admitted_at=1, now=2, seed=0) is not keeps_open


def test_an_endpoint_that_stays_open_beside_closed_models_knows_so_after_a_restart() -> None:
    world = endpoint()
    world.finish(*calls(world, 8))
    limited(world, *calls(world, 1, "other"))
    for task in calls(world, 3):
        limited(world, task)
    gates = {pool.name: pool.gate for pool in world.machine.pools(world.now)}
    assert (gates["model"], gates["other"], gates["endpoint"]) == ("cooling", "cooling", "open")
    restored = world.restored()
    restored.handle((), world.now)
    assert differences(restored, world.machine) == []


def test_one_burst_lowers_the_limit_once_though_its_last_refusal_comes_after_the_probe() -> None:
    world = endpoint(limit=8)
    first, second, *_ = calls(world, 20)
    limited(world, first)
    world.advance(2 * SECOND)
    world.finish(world.started[-1])
    world.end(second, "rate_limited", status=401)
    model = next(pool for pool in world.machine.pools(world.now) if pool.name == "model")
    assert (model.gate, model.limit) == ("cooling", 6)


def test_the_only_model_of_an_endpoint_closes_alone() -> None:
    world = World(gpus=0)
    world.declare("endpoint", PoolKind.LIMIT, 100)
    world.declare("model", PoolKind.LIMIT, 8, parent="endpoint")
    limited(world, *calls(world, 1))
    gates = {pool.name: pool.gate for pool in world.machine.pools(world.now)}
    assert (gates["model"], gates["endpoint"]) == ("cooling", "open")
