"""A unit enters once and as submitted tasks do; what people ask of a run is done to its source, too."""

from __future__ import annotations

import pytest

from passloop.kernel.changes import Refusal, TasksAnswer
from passloop.kernel.events import (
    Cancelled,
    DrainChanged,
    Expanded,
    ExpansionFailed,
    GroupHeld,
    GroupReleased,
    Held,
    PauseChanged,
    PoolKind,
    Released,
    Reprioritised,
    SourceRetried,
    UnitResized,
)
from passloop.kernel.ids import RunId
from passloop.kernel.resources import Request
from passloop.kernel.source_rows import SourceState, TemplateNode
from passloop.kernel.tasks import Dependency, NewTask, TaskState
from tests.support.builders import MINUTE, ask, spec_of
from tests.support.sourced import SourcedWorld, call, local

CELL = local(completes=True)


def cells(count: int = 1, **words: object) -> tuple[NewTask, ...]:
    return tuple(NewTask(spec=spec_of(ask(cpus=1)), **words) for _ in range(count))  # type: ignore[arg-type]


def world_with_source(**words: object) -> tuple[SourcedWorld, RunId]:
    world = SourcedWorld(gpus=0, cpus=2)
    return world, world.source(CELL, **words)


def test_a_units_tasks_run_and_end_as_others_do() -> None:
    world, run = world_with_source()
    world.expand(run, cells(2), exhausted=True)
    assert [world.row(task).run for task in world.running] == [run, run]
    assert world.row_of(run).ended_at is None
    world.finish(*world.running)
    row = world.row_of(run)
    assert (row.state, row.ended_at, row.tasks, row.unit) == (SourceState.EXHAUSTED, world.now, 2, 1)


def test_the_same_answer_twice_enters_once() -> None:
    world, run = world_with_source()
    world.expand(run, cells(2))
    turn = world.send(Expanded(run, 0, cells(2)))
    assert turn.changes == ()
    assert len(world.rows.tasks) == 2


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    world, run = world_with_source(resident=1)
    world.expand(run, cells())
    for event in (Expanded(run, 1, cells()), Expanded(RunId(99), 0, cells()), ExpansionFailed(run, 1, "late")):
        assert world.send(event).changes == ()


def test_dependencies_hold_within_a_unit_and_on_earlier_tasks() -> None:
    world, run = world_with_source()
    before = world.submit(ask(cpus=1))
    first, second = cells()[0], cells(after=(Dependency(-1), Dependency(before)))[0]
    world.expand(run, (first, second))
    assert world.state(3) is TaskState.WAITING
    world.finish(before, world.running[1])
    assert world.state(3) is TaskState.RUNNING


def test_duplicates_are_one_task_and_the_unit_does_not_wait_for_them() -> None:
    world, run = world_with_source()
    there = world.submit_many(ask(cpus=1), keys=["a"])[0]
    world.expand(run, (*cells(key="a"), *cells(key="b"), *cells(key="b")), exhausted=True)
    assert sorted(world.rows.tasks) == [there, there + 1]
    world.finish(there + 1)  # type: ignore[arg-type]
    assert world.row_of(run).ended_at == world.now
    assert world.row_of(run).tasks == 3


def test_what_can_never_fit_is_rejected_and_the_rest_runs() -> None:
    world, run = world_with_source()
    misfit = NewTask(spec=spec_of(ask(cpus=9)))
    dependent = cells(after=(Dependency(-1),))[0]
    world.expand(run, (misfit, dependent, *cells()), exhausted=True)
    assert [world.state(task) for task in (1, 2, 3)] == ["rejected", "aborted", "running"]
    assert "9 CPUs" in world.row(1).message


def test_a_unit_of_nothing_but_misfits_is_over_at_once() -> None:
    world, run = world_with_source()
    world.expand(run, (NewTask(spec=spec_of(ask(cpus=9))),), exhausted=True)
    assert world.row_of(run).ended_at == world.now


def test_an_empty_unit_is_passed_over() -> None:
    world, run = world_with_source()
    world.expand(run, ())
    assert world.asked(run) == [0, 1]


def test_a_source_with_as_many_units_as_it_said_is_exhausted() -> None:
    world, run = world_with_source(units=2)
    assert world.grow(run) == 2
    assert world.row_of(run).state is SourceState.EXHAUSTED


def test_a_source_of_no_units_is_over_at_once() -> None:
    world, run = world_with_source(units=0)
    assert world.asked(run) == []
    assert world.row_of(run).ended_at == world.now


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": cells(node=1)},
        {"tasks": cells(after=(Dependency(-1),))},
        {"tasks": cells(after=(Dependency(77),))},
        {"bytes": -1},
        {"tasks": cells(), "rest": True},
    ],
)
def test_an_answer_that_cannot_be_fails_the_source_and_brings_nothing(wrong: dict[str, object]) -> None:
    world, run = world_with_source()
    world.expand(run, **{"tasks": (), **wrong})
    row = world.row_of(run)
    assert row.state is SourceState.FAILED
    assert row.message.startswith("unit 0: ")
    assert not world.rows.tasks


def test_a_failure_is_told_and_not_tried_again() -> None:
    world, run = world_with_source()
    world.expand(run, cells())
    world.send(ExpansionFailed(run, 1, "no such file"))
    world.finish(*world.running)
    world.advance(60 * MINUTE)
    row = world.row_of(run)
    assert (row.state, row.message) == (SourceState.FAILED, "unit 1: no such file")
    assert row.ended_at is not None
    assert world.asked(run) == [0, 1]


def test_a_failed_source_goes_on_where_it_was_when_it_is_retried() -> None:
    world, run = world_with_source()
    world.send(ExpansionFailed(run, 0, "no such file"))
    world.restart()
    world.send(SourceRetried(run))
    assert world.asked(run) == [0, 0]
    assert world.row_of(run).ended_at is None
    assert world.grow(run, most=2) == 2


def test_only_a_failed_source_is_retried() -> None:
    world, run = world_with_source()
    for source in (run, RunId(99)):
        (answer,) = world.send(SourceRetried(source)).answers
        assert isinstance(answer, Refusal)


def test_a_resting_source_is_asked_again_when_one_of_its_tasks_is_final() -> None:
    world, run = world_with_source()
    world.expand(run, cells())
    world.expand(run, (), rest=True)
    assert world.row_of(run).state is SourceState.RESTING
    other = world.submit(ask(cpus=1))
    world.finish(other)
    assert world.asked(run) == [0, 1]
    world.finish(*world.running)
    assert world.asked(run) == [0, 1, 1]


def test_an_end_while_it_is_asked_is_not_missed_by_one_that_rests() -> None:
    world, run = world_with_source()
    world.expand(run, cells())
    world.finish(*world.running)
    world.expand(run, (), rest=True)
    assert world.asked(run) == [0, 1, 1]


def test_a_source_that_waits_for_nothing_has_failed() -> None:
    world, run = world_with_source()
    world.expand(run, (), rest=True)
    assert world.row_of(run).state is SourceState.FAILED
    assert "none of them is live" in world.row_of(run).message


def test_cancelling_a_run_ends_its_source_and_all_its_tasks() -> None:
    world, run = world_with_source()
    world.grow(run)
    other = world.submit(ask(cpus=1))
    (answer,) = world.send(Cancelled((), "enough", (run,))).answers
    assert isinstance(answer, TasksAnswer)
    assert answer.sources == (run,)
    assert set(answer.changed) == set(world.rows.tasks) - {other}
    for task in world.running:
        if task != other:
            world.end(task, "cancelled")
    row = world.row_of(run)
    assert (row.state, row.message) == (SourceState.CANCELLED, "enough")
    assert row.ended_at is not None


def test_a_unit_that_comes_after_the_cancel_does_not_enter() -> None:
    world, run = world_with_source()
    world.send(Cancelled((), sources=(run,)))
    assert world.send(Expanded(run, 0, cells())).changes == ()


def test_cancelling_all_its_tasks_by_id_leaves_the_source() -> None:
    world, run = world_with_source(resident=1)
    world.expand(run, cells(after=()))
    world.cancel(*world.running)
    world.end(world.running[0], "cancelled")
    assert world.asked(run) == [0, 1]


def test_a_task_that_never_was_ready_frees_its_unit_when_it_is_cancelled() -> None:
    world, run = world_with_source(resident=1)
    world.expand(run, cells(held=True))
    assert world.asked(run) == [0]
    world.cancel(*world.rows.live())
    assert world.asked(run) == [0, 1]


def test_a_held_source_is_not_asked_and_its_tasks_are_held() -> None:
    world, run = world_with_source()
    world.send(Held((), (run,)))
    world.expand(run, cells())
    assert world.state(1) is TaskState.HELD
    assert world.asked(run) == [0]
    world.send(Released((), (run,)))
    assert world.state(1) is TaskState.RUNNING
    assert world.asked(run) == [0, 1]


def test_a_held_group_holds_its_sources_now_and_later() -> None:
    world = SourcedWorld(gpus=0, cpus=2)
    now = world.source(CELL, group="night")
    world.send(GroupHeld("night"))
    later = world.source(CELL, group="night")
    world.expand(now, cells())
    assert (world.asked(now), world.asked(later)) == ([0], [])
    world.send(GroupReleased("night"))
    assert (world.asked(now), world.asked(later)) == ([0, 1], [0])


def test_another_priority_is_that_of_units_to_come() -> None:
    world, run = world_with_source(resident=2)
    world.expand(run, cells())
    world.send(Reprioritised((), 5, (run,)))
    world.expand(run, cells())
    assert {world.row(task).priority for task in (1, 2)} == {5}


@pytest.mark.parametrize(
    ("begin", "end"),
    [(DrainChanged(True), DrainChanged(False)), (PauseChanged(True, "disk full"), PauseChanged(False))],
)
def test_nothing_is_asked_while_nothing_could_start(begin: DrainChanged, end: DrainChanged) -> None:
    world = SourcedWorld(gpus=0, cpus=2)
    world.send(begin)
    run = world.source(CELL)
    assert world.asked(run) == []
    world.send(end)
    assert world.asked(run) == [0]


def test_a_spilled_unit_makes_room_in_memory() -> None:
    world = SourcedWorld(gpus=0, cpus=2)
    run = world.source(CELL, bytes=100)
    world.expand(run, cells(), bytes=150)
    assert not world.is_asked(run)
    world.send(UnitResized(run, 0, 10))
    assert world.is_asked(run)
    assert world.send(UnitResized(run, 7, 10)).changes == ()


def test_a_final_task_of_a_failed_node_frees_its_unit() -> None:
    world, run = world_with_source(resident=1)
    world.expand(run, (*cells(), cells(after=(Dependency(-1),))[0]))
    world.end(world.running[0], "failure", exit_code=1)
    assert world.asked(run) == [0, 1]


def test_a_restart_between_changes_nothing() -> None:
    world = SourcedWorld(gpus=0, cpus=2)
    world.declare("m", PoolKind.LIMIT, 2)
    run = world.source(call("m"), local(after=[0], completes=True), bytes=50)
    for _ in range(12):
        world.grow(run, most=1, bytes=10)
        world.restart()
        world.finish(*world.running[:1])
    asked = [(unit, node) for unit, nodes in world.asked_parts(run) for node in nodes or (0, 1)]
    assert len(asked) == len(set(asked)) > 10
    assert [unit for unit, node in asked if not node] == list(range(len(asked) - len(asked) // 2))


def test_a_new_source_gives_a_dead_pool_another_chance() -> None:
    world = SourcedWorld(gpus=0, cpus=2)
    world.declare("m", PoolKind.LIMIT, 2)
    world.submit(ask(m=1), driver="calls")
    for _ in range(12):
        for task in world.running:
            world.end(task, "rate_limited", status=429)
        world.advance(MINUTE)
    while world.running:
        world.end(world.running[0], "rate_limited", status=429)
    assert world.machine.pools(world.now)[1].gate == "dead"
    run = world.source(TemplateNode(Request((ask(m=1),)), driver="calls"))
    assert world.machine.pools(world.now)[1].gate == "half_open"
    assert run in world.rows.sources


def test_a_source_that_a_repair_left_with_all_its_units_is_over_once_it_is_released() -> None:
    """Its row is that of a backup, its units are newer: no answer would come by which it could end."""
    world, run = world_with_source(units=2)
    before = world.row_of(run)._replace(state=SourceState.OPEN, asked=None, held=True)
    world.grow(run)
    world.finish(*world.running)
    world.rows.sources[run] = before._replace(unit=2)
    world.restart()
    assert [blocker.code for blocker in world.machine.sources()[0].blockers] == ["held"]
    world.send(Released((), (run,)))
    row = world.row_of(run)
    assert (row.state, row.ended_at, row.held) == (SourceState.EXHAUSTED, world.now, False)
    assert world.send().changes == ()
    assert world.machine.sources() == ()
