"""A task never has two live attempts, not even beside a stray; a dead pool never leaves work silent for ever."""

from __future__ import annotations

from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.tasks import RetryBudgets, TaskState
from tests.support.builders import MINUTE, SECOND, World, ask


def beside_stray() -> tuple[World, int, object]:
    """A task to be tried again whose first attempt left a stray."""
    world = World(gpus=2)
    task = world.submit(gpus=1, retries=RetryBudgets(failure=1))
    exit_ = world.exit_of(task, "failure", stray=True)
    world.send(exit_)
    return world, task, exit_


def test_a_task_gets_no_other_attempt_while_a_stray_of_its_last_one_lives() -> None:
    world, task, exit_ = beside_stray()
    world.advance(MINUTE)
    assert world.state(task) is TaskState.STOPPING
    world.stray_gone(exit_.attempt, exit_.epoch)
    world.advance(2 * SECOND)
    assert world.state(task) is TaskState.RUNNING
    assert world.row(task).failures == 1


def test_a_restart_does_not_start_a_task_beside_its_stray() -> None:
    world, task, exit_ = beside_stray()
    world.restart()
    world.advance(MINUTE)
    assert world.state(task) is TaskState.STOPPING
    world.stray_gone(exit_.attempt, exit_.epoch)
    world.advance(2 * SECOND)
    assert world.state(task) is TaskState.RUNNING


def test_a_task_that_waits_for_its_stray_can_be_cancelled() -> None:
    world, task, exit_ = beside_stray()
    world.cancel(task)
    assert world.state(task) is TaskState.CANCELLED
    other = world.submit(gpus=2)
    assert world.state(other) is TaskState.READY
    world.stray_gone(exit_.attempt, exit_.epoch)
    assert world.state(other) is TaskState.RUNNING


def dead_endpoint(on_dead: str) -> tuple[World, list[int]]:
    """An endpoint whose probes all failed until it was dead, with calls that wait for it."""
    world = World(gpus=0)
    world.send(PoolDeclared(PoolName("model"), PoolKind.LIMIT, 1, dead_after=5 * SECOND, on_dead=on_dead))
    tasks = list(world.submit_many(ask(model=1), n=3, driver="calls"))
    for _ in range(20):
        if not world.running:
            break
        world.end(world.running[0], "rate_limited", status=503)
        world.advance(2 * SECOND)
    return world, tasks


def test_calls_on_a_dead_pool_fail_where_the_policy_says_so() -> None:
    world, tasks = dead_endpoint("fail")
    assert {world.state(task) for task in tasks} == {TaskState.FAILED}
    assert "pools open model" in world.row(tasks[0]).message


def test_a_new_run_gives_a_dead_pool_another_chance() -> None:
    world, tasks = dead_endpoint("wait")
    assert world.why(tasks[0]) == ["dead"]
    world.submit(ask(model=1), driver="calls")
    assert len(world.running) == 1
