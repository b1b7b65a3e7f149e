"""What attempts teach: how long switching a worker costs, so that others are passed by for what it is worth; and which
variant is too little for tasks that take alike of memory. A machine that is rebuilt knows the same."""

from __future__ import annotations

from passloop.kernel import lessons, warm_order
from passloop.kernel.changes import SubmitAnswer, TaskChanged
from passloop.kernel.events import Started, Submitted, WorkerGrew
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import Growth, NewTask, RetryBudgets, TaskState
from tests.support.builders import HOUR, MINUTE, SECOND, World, ask, spec_of

CELL = 10 * SECOND


def mixed(world: World, keys: str) -> list[TaskId]:
    """One run of one-GPU tasks with these warm keys, in this order."""
    specs = {key: spec_of(ask(gpus=1), driver="workers", warm_key=key, task_class="cell") for key in set(keys)}
    answer = world.offer([NewTask(specs[key], index=i) for i, key in enumerate(keys)])
    assert isinstance(answer, SubmitAnswer)
    return list(answer.tasks)


def run_to_the_end(world: World, loading: int | None) -> None:
    """Each task takes ten seconds; a worker's first one says what loading took, of which its start was no part."""
    while world.running:
        for worker in world.rows.workers():
            if worker.evicted:
                world.worker_gone(worker.id)
        for task in world.running:
            row = world.rows.attempt_of(task)
            if row.state == "running":
                world.advance(CELL)
                is_first = world.rows.worker_of(row.id).id == row.id
                world.park(task, loading=loading if is_first else None)


def passed_by(loading: int | None, *, later: int = 100) -> int:
    """How many tasks come before one of another key, once loading either key is known to take so long."""
    world = World(gpus=1)
    mixed(world, "ab")
    run_to_the_end(world, loading)
    before = len(world.started)
    tasks = mixed(world, "ab" + "a" * later)
    run_to_the_end(world, loading)
    return world.started[before:].index(tasks[1]) - 1


def test_the_longer_loading_takes_the_longer_others_are_passed_by() -> None:
    assert passed_by(10 * SECOND) == 2 * warm_order.WORTH
    assert passed_by(30 * SECOND) == 3 * 2 * warm_order.WORTH


def test_who_loads_at_once_passes_by_nobody() -> None:
    assert passed_by(0) == 0
    assert passed_by(CELL // 100) == 0


def test_where_nobody_says_what_loading_takes_the_bounds_are_fixed() -> None:
    assert passed_by(None) == min(warm_order.OVERTAKES_MOST, 1 + warm_order.OVERTAKING_MOST // CELL)


def test_however_long_loading_takes_nobody_is_passed_by_for_longer_than_an_hour() -> None:
    assert 300 < passed_by(2 * HOUR, later=400) <= warm_order.WORTH_MOST // CELL


def test_a_worker_that_has_to_come_up_costs_that_too() -> None:
    world = World(gpus=1, auto_start=False)
    (task,) = mixed(world, "a")
    row = world.rows.attempt_of(task)
    world.advance(4 * SECOND)
    world.send(Started(row.id, row.epoch))
    world.advance(MINUTE)
    world.park(task, loading=6 * SECOND)
    assert world.machine.state.lessons.cost("a") == 10 * SECOND


def test_what_was_learned_of_switching_is_there_after_a_restart() -> None:
    world = World(gpus=1)
    mixed(world, "ab")
    run_to_the_end(world, 30 * SECOND)
    assert world.restored().state.lessons.text() == world.machine.state.lessons.text() != lessons.Lessons().text()


def test_a_new_cost_moves_what_is_known_by_a_quarter_and_old_keys_are_forgotten() -> None:
    known = lessons.Lessons()
    known.learn_cost("a", 100)
    known.learn_cost("a", 200)
    assert known.cost("a") == 125
    for number in range(lessons.KNOWN_MOST):
        known.learn_cost(f"key {number}", 1)
    assert (known.cost("a"), known.cost("key 0")) == (None, 1)


def alike(world: World, count: int, *, name: str = "cells", alike: bool = True) -> list[TaskId]:
    """One run of tasks that begin with half a device each and may have it alone."""
    spec = spec_of(ask(share=0.5), ask(gpus=1), task_class=name, alike=alike, retries=RetryBudgets(out_of_memory=1))
    world.send(Submitted(name="run", tasks=tuple(NewTask(spec, index=i) for i in range(count))))
    newest = max(world.rows.runs)
    return [TaskId(task) for task, row in sorted(world.rows.tasks.items()) if row.run == newest]


def test_after_running_out_of_memory_those_alike_that_have_not_started_ask_more_at_once() -> None:
    world = World(gpus=1)
    tasks = alike(world, 6)
    assert world.running == tasks[:2]
    world.end(tasks[0], "out_of_memory")
    assert [world.row(task).variant_from for task in tasks] == [1, 0, 1, 1, 1, 1]
    world.end(tasks[1])
    assert len(world.running) == 1, "the next has the device alone"


def test_who_begins_with_more_has_no_try_more_than_who_taught_it() -> None:
    world = World(gpus=1)
    tasks = alike(world, 3)
    world.end(tasks[0], "out_of_memory")
    world.end(tasks[1])
    (alone,) = world.running
    assert alone == tasks[2]
    world.end(alone, "out_of_memory")
    assert world.state(alone) is TaskState.FAILED


def test_others_of_the_run_another_run_and_those_not_alike_ask_what_they_asked() -> None:
    world = World(gpus=2)
    first, other = alike(world, 5), alike(world, 2)
    apart = alike(world, 2, alike=False)
    world.end(first[0], "out_of_memory")
    assert [world.row(task).variant_from for task in (*first[3:], *other, *apart)] == [0, 1, 0, 0, 0, 0]
    world.hold(*world.ready)
    for task in world.running:
        world.end(task, "out_of_memory" if task in apart else "success")
    assert all(world.row(task).variant_from == 0 for task in apart if world.state(task) is TaskState.HELD)


def test_a_task_that_comes_later_begins_with_what_was_enough_also_after_a_restart() -> None:
    world = World(gpus=1)
    tasks = alike(world, 1)
    spec = world.rows.specs[tasks[0]]
    world.end(tasks[0], "out_of_memory")
    world.restart()
    run = world.row(tasks[0]).run
    world.send(Submitted(name="run", run=run, tasks=(NewTask(spec, index=9),)))  # type: ignore[arg-type]
    assert world.row(TaskId(max(world.rows.tasks))).variant_from == 1


def test_a_leak_is_an_event_of_its_own_in_the_story_of_the_workers_last_task() -> None:
    world = World(gpus=1)
    (task,) = mixed(world, "a")
    row = world.rows.attempt_of(task)
    turn = world.send(WorkerGrew(AttemptId(row.id), row.id, row.epoch, grown_mib=2_500, cells=9))
    assert [change.row.id for change in turn.changes if isinstance(change, TaskChanged)] == [task]
    assert world.send(WorkerGrew(AttemptId(7), AttemptId(7), 1, grown_mib=1, cells=1)).changes == ()
    world.end(task, growth=Growth(2_500, 9))
    kept = world.rows.attempts[row.id].outcome
    assert kept is not None
    assert kept.growth == Growth(2_500, 9)


def test_how_long_leases_lasted_says_nothing_about_tasks() -> None:
    world = World(gpus=1)
    for driver, bound in (("leases", None), ("processes", SECOND)):
        for _ in range(10):
            task = world.submit(gpus=1, driver=driver)
            world.advance(SECOND)
            world.finish(task)
        task = world.submit(gpus=1)
        assert world.rows.attempt_of(task).bound == bound
        world.finish(task)
