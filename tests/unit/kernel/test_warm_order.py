"""Who comes sooner because a worker is warm: a key is drained before it is switched, within bounds; short tasks are
claimed ahead of their turn behind a live one."""

from __future__ import annotations

import pytest

from passloop.kernel import warm_order
from passloop.kernel.changes import DurationLearned
from passloop.kernel.events import DrainChanged, Exited, Parked, PoolKind, Started, Submitted
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.instructions import Stop
from passloop.kernel.tasks import NewTask, Outcome, OutcomeKind, TaskState
from tests.support.builders import MINUTE, SECOND, World, ask, spec_of


def mixed(world: World, keys: str, **rest: str) -> dict[int, TaskId]:
    """One run of one-GPU tasks with these warm keys, in this order; "-" is a command of the same request."""
    specs = {key: spec_of(ask(gpus=1), driver="workers", warm_key=key, **rest) for key in set(keys) - {"-"}}
    specs["-"] = spec_of(ask(gpus=1))
    world.send(Submitted(name="run", tasks=tuple(NewTask(specs[key], index=i) for i, key in enumerate(keys))))
    return dict(enumerate(sorted(world.rows.tasks)))  # type: ignore[arg-type]


def run_to_the_end(world: World) -> None:
    """Each task that runs ends well and leaves its worker parked; each evicted worker goes."""
    while world.running:
        for worker in world.rows.workers():
            if worker.evicted:
                world.worker_gone(worker.id)
        for task in world.running:
            row = world.rows.attempt_of(task)
            if row.state == "running":
                world.end(task) if row.driver != "workers" else world.park(task)


def test_a_key_is_drained_before_it_is_switched() -> None:
    world = World(gpus=1)
    tasks = mixed(world, "ababab")
    run_to_the_end(world)
    assert world.started == [tasks[i] for i in (0, 2, 4, 1, 3, 5)]
    assert len(world.evicted) == 2


def test_a_command_of_the_same_request_is_passed_by_too_but_no_other_run() -> None:
    world = World(gpus=1)
    first = mixed(world, "a-a")
    other = world.submit(gpus=1, driver="workers", warm_key="a")
    run_to_the_end(world)
    assert world.started == [first[0], first[2], first[1], other]


def test_a_task_is_passed_by_sixty_four_times_at_most() -> None:
    world = World(gpus=1)
    tasks = mixed(world, "ab" + "a" * 100)
    run_to_the_end(world)
    assert world.started.index(tasks[1]) == 1 + warm_order.OVERTAKES_MOST


def test_a_task_is_passed_by_for_ten_minutes_at_most() -> None:
    world = World(gpus=1)
    tasks = mixed(world, "ab" + "a" * 30)
    while tasks[1] not in world.started:
        (task,) = world.running
        if world.rows.attempt_of(task).state == "running":
            world.advance(MINUTE)
            world.park(task)
        for worker in world.evicted:
            world.worker_gone(worker)
    assert world.started.index(tasks[1]) == 12


def test_a_higher_priority_is_never_passed_by() -> None:
    world = World(gpus=1)
    tasks = mixed(world, "aba")
    world.prioritise(tasks[1], 1)
    run_to_the_end(world)
    assert world.started == [tasks[i] for i in (0, 1, 2)]


def learn_quick(world: World) -> None:
    """Tasks of the class are known to be short."""
    for _ in range(12):
        world.machine.state.durations.learn(DurationLearned("quick", "", 1))


def quick(world: World, count: int, *, cpus: int = 1, gpus: int = 0) -> list[TaskId]:
    """A run of tasks on warm workers whose class is known to be short."""
    learn_quick(world)
    spec = spec_of(ask(cpus=cpus, gpus=gpus), driver="workers", warm_key="a", task_class="quick")
    world.send(Submitted(name="run", tasks=tuple(NewTask(spec, index=i) for i in range(count))))
    newest = max(world.rows.runs)
    return [TaskId(task) for task, row in sorted(world.rows.tasks.items()) if row.run == newest]


def behind(world: World) -> list[TaskId]:
    """The tasks that wait behind a live one, in order."""
    return [world.rows.attempts[attempt].task for attempt in world.rows.behind()]


def test_short_tasks_wait_behind_a_live_one_and_take_over_what_it_holds() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    tasks = quick(world, 60)
    assert behind(world) == tasks[1:33]
    assert world.state(tasks[1]) is TaskState.ADMITTED
    assert world.rows.attempt_of(tasks[1]).allocation.amounts == ()
    world.park(tasks[0])
    assert world.rows.attempt_of(tasks[1]).allocation.amounts == (("cpu", 1000),)
    assert behind(world) == tasks[2:34]


@pytest.mark.parametrize("restarts", [False, True])
def test_who_waited_behind_another_leaves_the_node_to_an_exclusive_task(restarts: bool) -> None:
    """Seed 24645 of liveness: after a restart it was on the node twice, and left it once."""
    world = World(gpus=0, cpus=1)
    first, second = quick(world, 2)
    alone = world.submit(cpus=1, exclusive=True)
    assert behind(world) == [second]
    if restarts:
        world.restart()
    world.park(first)
    assert world.state(alone) is TaskState.READY
    world.park(second)
    for worker in world.evicted:
        world.worker_gone(worker)
    assert world.state(alone) is TaskState.RUNNING


def test_nobody_waits_behind_one_whose_devices_may_yet_be_refused() -> None:
    """That start is held back until they were looked at, and a later one, which has none, would run before it."""
    world = World(gpus=1, cpus=1, auto_start=False)
    tasks = quick(world, 60, gpus=1)
    first = world.rows.attempt_of(tasks[0])
    assert behind(world) == []
    world.send(Started(first.id, first.epoch))
    assert behind(world) == tasks[1:33]
    world.park(tasks[0])
    assert behind(world) == tasks[2:34], "who took over from another is not looked at"
    world.restart()
    learn_quick(world)
    world.park(tasks[1])
    assert behind(world) == tasks[3:35]


def test_who_holds_a_pool_is_told_in_order_of_admission_also_after_a_restart() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    tasks = quick(world, 2)
    world.declare("cpu", PoolKind.AMOUNT, 2_000)
    other = world.submit(cpus=1)
    world.park(tasks[0])
    told = [
        [pool.holders for pool in one.pools(world.now) if pool.name == "cpu"]
        for one in (world.machine, world.restored())
    ]
    assert told == [[(tasks[1], other)]] * 2


def test_two_workers_share_what_is_claimed_ahead() -> None:
    world = World(gpus=0, cpus=2, auto_start=False)
    quick(world, 100)
    assert [len(worker.attempts) for worker in world.rows.workers()] == [33, 33]


def test_unknown_or_long_tasks_are_not_claimed_ahead() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    quick(world, 1)
    spec = spec_of(ask(cpus=1), driver="workers", warm_key="a", task_class="unknown")
    world.send(Submitted(name="more", tasks=(NewTask(spec), NewTask(spec))))
    assert behind(world) == []


def test_nobody_is_claimed_ahead_of_another_group_or_kind_of_task() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    other = world.submit(cpus=1, group="other")
    waiting = world.submit(cpus=1, group="other")
    tasks = quick(world, 10)
    world.end(other)
    assert (world.state(waiting), world.state(tasks[0]), behind(world)) == (TaskState.ADMITTED, TaskState.READY, [])


def test_who_waits_behind_a_task_that_turns_out_long_is_called_back() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    tasks = quick(world, 3)
    first = world.rows.attempt_of(tasks[0])
    world.send(Started(first.id, first.epoch))
    world.advance(SECOND)
    assert all(world.stopped(task) for task in tasks[1:])
    for task in tasks[1:]:
        row = world.rows.attempt_of(task)
        lost = Outcome(OutcomeKind.LOST, message="called back", engine_lost=True)
        world.send(Exited(row.id, row.epoch, lost, parked=Parked(AttemptId(1))))
    assert [world.state(task) for task in tasks[1:]] == [TaskState.READY, TaskState.READY]
    assert behind(world) == []
    world.park(tasks[0])
    assert world.state(tasks[1]) is TaskState.ADMITTED


def begun_and_called_back(world: World) -> TaskId:
    """A task that its worker began in the moment in which it was called back."""
    tasks = quick(world, 2)
    first = world.rows.attempt_of(tasks[0])
    world.send(Started(first.id, first.epoch))
    world.advance(SECOND)
    second = world.rows.attempt_of(tasks[1])
    world.send(Started(second.id, second.epoch))
    world.park(tasks[0])
    return tasks[1]


@pytest.mark.parametrize("restarts", [False, True])
def test_who_had_begun_when_it_was_called_back_goes_on_to_its_end(restarts: bool) -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    task = begun_and_called_back(world)
    if restarts:
        world.restart()
    world.park(task)
    assert world.state(task) is TaskState.SUCCEEDED


@pytest.mark.parametrize(("ends", "why"), [("down", "down"), ("cancel", "cancelled")])
def test_who_went_on_though_called_back_is_ended_as_any_other(ends: str, why: str) -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    task = begun_and_called_back(world)
    turn = world.send(DrainChanged(draining=True, stop_running=True)) if ends == "down" else world.cancel(task)
    assert [(order.attempt, order.reason) for order in turn.instructions if isinstance(order, Stop)] == [
        (world.attempt(task), why)
    ]


def test_a_dead_worker_takes_nobody_with_it() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    tasks = quick(world, 3)
    world.end(tasks[0], "lost")
    assert all(not worker.attempts or worker.id != 1 for worker in world.rows.workers())
    row = world.rows.attempt_of(tasks[1])
    world.send(Exited(row.id, row.epoch, Outcome(OutcomeKind.LOST, engine_lost=True)))
    assert world.row(tasks[1]).losses == 0


def test_who_waits_behind_a_task_is_called_back_after_a_restart_too() -> None:
    world = World(gpus=0, cpus=1, auto_start=False)
    tasks = quick(world, 3)
    world.restart()
    world.advance(2 * SECOND)
    assert all(world.stopped(task) for task in tasks[1:])
