"""Nodes of a source may have groups of their own inside the source's: those share what the source gets."""

from __future__ import annotations

from collections import Counter

from passloop.kernel.ids import RunId
from passloop.kernel.tasks import NewTask, TaskSpec, TaskState
from tests.support.builders import MINUTE, ask
from tests.support.sourced import SourcedWorld, call

COLUMNS = ("night/tickets/text", "night/tickets/grade", "night/tickets/short")


def frontier(world: SourcedWorld, run: RunId, each: int) -> None:
    """One unit in which a node's tasks all come before those of the next: a large ready frontier."""
    nodes = world.rows.plans[run].template
    tasks = [
        NewTask(spec=TaskSpec(node.request, driver="calls"), index=number * each + place, rank=number, node=number)
        for number, node in enumerate(nodes)
        for place in range(each)
    ]
    world.expand(run, tasks, exhausted=True)


def dataset(*, limit: int = 1, each: int = 40) -> SourcedWorld:
    """Three columns on one model, whose calls wait for one that is under way."""
    world = SourcedWorld(gpus=0)
    world.declare_models("m0", limit=limit)
    columns = [call("m0", completes=True, group=name.removeprefix("night/")) for name in COLUMNS]
    frontier(world, world.source(*columns, group="night"), each)
    return world


def shares(world: SourcedWorld, ends: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _ in range(ends):
        task = world.running[0]
        counts[world.row(task).group] += 1
        world.advance(MINUTE)
        world.finish(task)
    return counts


def test_a_large_frontier_is_not_worked_off_one_column_after_another() -> None:
    assert shares(dataset(), 30) == dict.fromkeys(COLUMNS, 10)


def test_a_source_is_one_beside_what_else_is_in_its_group_however_many_columns_it_has() -> None:
    world = dataset()
    for _ in range(40):
        world.submit(ask(m0=1), driver="calls", group="night")
    shares(world, 1)
    told = shares(world, 60)
    assert abs(told["night"] - 30) <= 1
    assert all(abs(told[column] - 10) <= 1 for column in COLUMNS)


def test_a_restart_changes_no_columns_turn() -> None:
    steady, restarted = dataset(limit=2), dataset(limit=2)
    shares(steady, 11)
    shares(restarted, 11)
    restarted.restart()
    assert shares(steady, 40) == shares(restarted, 40)


def test_to_hold_the_group_of_a_run_holds_its_columns_and_those_of_units_to_come() -> None:
    world = SourcedWorld(gpus=0)
    world.declare_models("m0", limit=1)
    run = world.source(call("m0", completes=True, group="tickets/text"), group="night", units=2)
    world.hold_group("night")
    world.expand(run)
    (task,) = world.rows.tasks
    assert world.state(task) is TaskState.HELD
    world.release_group("night")
    assert world.running == [task]
