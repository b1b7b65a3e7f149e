"""Units in parts: where memory is short a closed column waits unwritten, and the others run ahead of it; nothing is
left half."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from passloop.kernel.blockers import BlockerCode
from passloop.kernel.events import Cancelled, Expanded, ExpansionFailed, PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName, RunId
from passloop.kernel.source_rows import Lag, Part, SourceState, TemplateNode
from passloop.kernel.tasks import TaskState
from tests.support.builders import MINUTE
from tests.support.sourced import SourcedWorld, call, local

EACH = 10
"""What a task keeps in memory."""


def models(*names: str, limit: int = 4) -> SourcedWorld:
    world = SourcedWorld(gpus=0, cpus=8)
    world.declare_models(*names, limit=limit)
    return world


def answer(world: SourcedWorld, run: RunId, **words: object) -> None:
    """Answer what is asked, each task with its bytes."""
    tasks = world.unit(run)
    world.expand(run, tasks, bytes=EACH * len(tasks), **words)


def answer_all(world: SourcedWorld, run: RunId) -> None:
    """Answer for as long as something is asked; memory is under its guard all the time."""
    plan = world.rows.plans[run]
    while world.is_asked(run):
        answer(world, run)
        source = world.machine.state.sources.get(run)
        assert source is None or source.bytes < (plan.guard.bytes or 0) + EACH * len(plan.template)


def work_on(world: SourcedWorld, run: RunId, *, rounds: int) -> None:
    """All that is asked for comes and all that runs succeeds, so many times."""
    for _ in range(rounds):
        answer_all(world, run)
        world.finish(*world.running)
    answer_all(world, run)


def open_again(world: SourcedWorld) -> None:
    """The cooldown is over, and the probe goes well."""
    world.advance(120 * MINUTE)
    world.finish(*world.running)


def units_of(world: SourcedWorld, node: int) -> list[int]:
    """The units of which a node came, in order."""
    return [cell.unit for cell in world.rows.cells.values() if cell.node == node]


def beside_a_closed_one(
    *template: TemplateNode, units: int | None = None, guard: int = 100
) -> tuple[SourcedWorld, RunId]:
    """Two healthy models have run far ahead of a third, m0, that is closed."""
    world = models("m0", "m1", "m2")
    world.cool("m0", millis=60 * MINUTE)
    nodes = template or (call("m0"), call("m1"), call("m2"))
    run = world.source(*nodes, bytes=guard, units=units)
    work_on(world, run, rounds=30)
    return world, run


def test_while_memory_is_free_units_come_whole() -> None:
    world = models("m0", "m1")
    world.cool("m0")
    run = world.source(call("m0"), call("m1"), bytes=100)
    for _ in range(4):
        answer(world, run)
        world.finish(*world.running)
    assert world.asked_parts(run)[:4] == [Part(unit) for unit in range(4)]


def test_healthy_columns_run_ahead_of_a_closed_one_without_bound_and_memory_stays_under_its_guard() -> None:
    world, run = beside_a_closed_one()
    assert len(units_of(world, 0)) <= 10
    assert min(len(units_of(world, node)) for node in (1, 2)) > 80
    assert len(world.row_of(run).lags) == 1
    assert len(world.machine.state.sources[run].units) <= 30


def test_what_lags_comes_oldest_first_when_its_pool_opens() -> None:
    world, run = beside_a_closed_one()
    (lag,) = world.row_of(run).lags
    before = len(world.asked_parts(run))
    assert lag == Lag(0, len(units_of(world, 0)))
    open_again(world)
    work_on(world, run, rounds=20)
    mine = [unit for unit, nodes in world.asked_parts(run)[before:] if nodes == (0,)]
    assert mine[:5] == list(range(lag.unit, lag.unit + 5))
    assert units_of(world, 0) == list(range(len(units_of(world, 0))))


def test_every_node_of_every_unit_comes_once_and_then_the_source_ends() -> None:
    world, run = beside_a_closed_one(units=60)
    assert world.row_of(run).state is SourceState.OPEN
    assert (world.row_of(run).unit, len(units_of(world, 1))) == (60, 60)
    open_again(world)
    work_on(world, run, rounds=60)
    assert [units_of(world, node) for node in range(3)] == [list(range(60))] * 3
    row = world.row_of(run)
    assert (row.state, row.lags, row.tasks) == (SourceState.EXHAUSTED, (), 180)
    assert row.ended_at == world.now


def test_a_column_that_nobody_waits_for_is_written_out_in_the_end_and_fails_there() -> None:
    world = models("m0", "m1")
    world.send(PoolDeclared(PoolName("m0"), PoolKind.LIMIT, 4, dead_after=1))
    world.cool("m0", millis=60 * MINUTE)
    run = world.source(call("m0", on_dead="fail"), call("m1", after=[0]), call("m1"), bytes=100, units=40)
    work_on(world, run, rounds=30)
    assert len(units_of(world, 2)) == 40
    for _ in range(8):
        world.advance(61 * MINUTE)
        for task in world.running:
            world.end(task, "rate_limited", status=429, retry_after=60 * MINUTE)
        answer_all(world, run)
    assert Counter(row.state for row in world.rows.tasks.values() if row.run == run) == {
        TaskState.FAILED: 40,
        TaskState.ABORTED: 40,
        TaskState.SUCCEEDED: 40,
    }
    assert world.row_of(run).ended_at is not None


def test_a_run_whose_only_model_is_dead_ends_soon_though_local_work_comes_before_it() -> None:
    world = models("m0")
    world.send(PoolDeclared(PoolName("m0"), PoolKind.LIMIT, 4, dead_after=1))
    run = world.source(local(), call("m0", after=[0], on_dead="fail", completes=True), bytes=100, units=40)
    begun = world.now
    for _ in range(60):
        answer_all(world, run)
        for task in world.running:
            calls = world.rows.cells[task].node == 1
            world.end(task, "rate_limited", status=429) if calls else world.finish(task)
        world.advance(1_000)
    row = world.row_of(run)
    assert row.ended_at is not None
    assert row.ended_at - begun < MINUTE


def test_what_can_never_fit_any_more_is_written_out_in_the_end_and_rejected() -> None:
    world, run = beside_a_closed_one(units=40)
    world.send(PoolDeclared(PoolName("m0"), PoolKind.LIMIT, 0))
    work_on(world, run, rounds=10)
    rejected = [row for row in world.rows.tasks.values() if row.state is TaskState.REJECTED]
    assert len(rejected) + 10 >= 40
    assert world.row_of(run).lags == ()


def test_a_column_after_a_slow_one_does_not_wait_until_that_one_has_room() -> None:
    """Its cells of units that are there could run at once, though what it comes after has enough ready."""
    world, run = beside_a_closed_one(call("m1"), call("m0", after=[0]), guard=1_000)
    ready = [task for task in world.ready if world.rows.cells[task].node == 0]
    assert len(ready) == 8, "the first column has enough"
    (lag,) = world.row_of(run).lags
    open_again(world)
    for _ in range(12):
        world.finish(*(task for task in world.running if world.rows.cells[task].node))
        answer_all(world, run)
    assert len([task for task in world.ready if world.rows.cells[task].node == 0]) == 8
    assert Part(lag.unit, (1,)) in world.asked_parts(run)


def test_what_comes_after_a_lagging_column_lags_with_it() -> None:
    world, run = beside_a_closed_one(call("m0"), call("m1", after=[0]), call("m2"))
    assert [lag.node for lag in world.row_of(run).lags] == [0, 1]
    assert len({lag.unit for lag in world.row_of(run).lags}) == 1
    open_again(world)
    work_on(world, run, rounds=20)
    assert units_of(world, 1) == list(range(len(units_of(world, 1))))


def test_a_cell_of_a_later_part_comes_after_what_failed_before() -> None:
    world = models("m0", "m1")
    world.cool("m1", millis=60 * MINUTE)
    run = world.source(call("m0"), call("m1", after=[0]), bytes=40, units=8)
    while world.is_asked(run) or world.running:
        answer_all(world, run)
        for task in world.running:
            world.end(task, "failure", exit_code=1)
    assert world.row_of(run).ended_at is None
    open_again(world)
    work_on(world, run, rounds=4)
    assert Counter(row.state for row in world.rows.tasks.values() if row.run == run) == {
        TaskState.FAILED: 8,
        TaskState.ABORTED: 8,
    }
    assert world.row_of(run).ended_at is not None


def test_local_work_that_lags_is_a_reason_for_itself() -> None:
    """It gives nothing and feeds nothing, but a unit that has begun is not left half."""
    world = models("m0")
    other = world.submit(cpus=8)
    run = world.source(call("m0"), local(cpus=8), bytes=40, units=12)
    for _ in range(12):
        answer_all(world, run)
        world.finish(*(task for task in world.running if task != other))
    assert (len(units_of(world, 0)), world.row_of(run).lags) == (12, (Lag(1, 2),))
    work_on(world, run, rounds=13)
    assert world.row_of(run).ended_at is not None
    assert len(units_of(world, 1)) == 12


def test_a_slow_column_keeps_no_more_than_half_of_what_others_leave() -> None:
    world = models("m0", "m1", limit=1_000)
    run = world.source(call("m0"), call("m1"), bytes=100)
    for _ in range(40):
        answer_all(world, run)
        world.finish(*(task for task in world.running if world.rows.cells[task].node))
    node = world.machine.state.sources[run].nodes[0]
    assert node.live * EACH <= 60
    assert len(units_of(world, 1)) > 60


def test_an_answer_for_other_nodes_changes_nothing() -> None:
    world, run = beside_a_closed_one()
    world.finish(*world.running)
    part = world.part_of(run)
    assert part.nodes
    for event in (
        Expanded(run, part.unit),
        Expanded(run, part.unit, nodes=(0,)),
        Expanded(run, part.unit + 1, nodes=part.nodes),
        ExpansionFailed(run, part.unit, "late"),
    ):
        assert world.send(event).changes == ()
    assert world.part_of(run) == part


@pytest.mark.parametrize(
    ("words", "said"), [({"rest": True, "tasks": ()}, "has begun"), ({"nodes": (0,)}, "was not asked for")]
)
def test_a_part_that_cannot_be_fails_the_source(words: dict[str, object], said: str) -> None:
    world, run = beside_a_closed_one()
    open_again(world)
    part = world.part_of(run)
    assert part.nodes == (0,)
    tasks = world.unit(run) if "tasks" in words else tuple(replace(task, node=1) for task in world.unit(run))
    world.send(Expanded(run, part.unit, **{"tasks": tasks, **words, "nodes": part.nodes}))  # type: ignore[arg-type]
    assert world.row_of(run).state is SourceState.FAILED
    assert said in world.row_of(run).message


def test_an_older_unit_cannot_say_that_there_are_no_more() -> None:
    world, run = beside_a_closed_one()
    open_again(world)
    assert world.part_of(run).nodes == (0,)
    answer(world, run, exhausted=True)
    assert world.row_of(run).end is None
    work_on(world, run, rounds=20)
    assert world.row_of(run).unit > 100


def test_the_last_unit_ends_the_source_only_when_what_lags_is_there() -> None:
    world, run = beside_a_closed_one()
    world.finish(*world.running)
    answer(world, run, exhausted=True)
    row = world.row_of(run)
    assert (row.state, row.end, row.ended_at) == (SourceState.OPEN, row.unit, None)
    world.restart()
    work_on(world, run, rounds=3)
    assert world.row_of(run).state is SourceState.OPEN
    open_again(world)
    work_on(world, run, rounds=100)
    assert world.row_of(run).ended_at is not None


def test_a_source_that_rests_gives_what_lags_though_none_of_its_tasks_is_live() -> None:
    world, run = beside_a_closed_one()
    world.finish(*world.running)
    world.cancel(*(task for task in world.rows.live() if world.row(task).run == run))
    while world.is_asked(run):
        world.expand(run, (), rest=True)
    assert world.row_of(run).state is SourceState.RESTING
    (lag,) = world.row_of(run).lags
    world.advance(120 * MINUTE)
    assert world.part_of(run) == Part(lag.unit, (0,))


def test_a_restart_asks_for_the_same_part_again() -> None:
    world, run = beside_a_closed_one()
    open_again(world)
    part = world.part_of(run)
    world.restart()
    assert world.part_of(run) == part
    answer(world, run)
    assert units_of(world, 0)[-1] == part.unit


def test_a_cancelled_source_is_over_though_columns_lag() -> None:
    world, run = beside_a_closed_one()
    world.send(Cancelled((), "enough", (run,)))
    for task in world.running:
        world.end(task, "cancelled")
    assert world.row_of(run).ended_at is not None


def test_a_node_that_keeps_as_much_as_is_free_is_told() -> None:
    world = models("m0", "m1", limit=1_000)
    run = world.source(call("m0", group="made/text"), call("m1"), bytes=100)
    answer_all(world, run)
    (status,) = world.machine.sources()
    assert {blocker.code for blocker in status.blockers} == {BlockerCode.MEMORY_GUARD}
    assert [blocker.sentence.split(" are live")[0].partition(" tasks of ")[2] for blocker in status.blockers] == [
        "made/text",
        "node 1",
    ]
    assert "which is for others" in " ".join(blocker.sentence for blocker in status.blockers)
