"""A repair lets nothing go on by itself of which it lost, or took from a backup, what would tell whether it may."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from passloop.clock import SystemClock
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.processes.reattach import look
from passloop.engine.capacity import declared_pools
from passloop.engine.recovery import live_attempts
from passloop.kernel import invariants
from passloop.kernel.changes import (
    AttemptChanged,
    GroupChanged,
    PoolChanged,
    SettingChanged,
    SourceAdded,
    SourceChanged,
    TaskAdded,
    TaskChanged,
    UnitChanged,
)
from passloop.kernel.events import Cancelled, DrainChanged, Event, Exited, Released, Started
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.instructions import Expand, Start, Stop
from passloop.kernel.lifecycle import RECALL, STRAY
from passloop.kernel.machine import Machine
from passloop.kernel.resources import CPU, Allocation, Request, Variant
from passloop.kernel.source_rows import Cell, SourcePlan, SourceRow, SourceState, TemplateNode, UnitRow
from passloop.kernel.tasks import Dependency, Outcome, OutcomeKind, TaskSpec, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.repair import repair
from tests.support.store_rows import SPEC, a_batch, a_run, a_submission, a_task, an_attempt, an_end
from tests.unit.store.test_repair import COUNT, fill, spoil_table

POOL = '{"capacity": 4000, "parent": null, "dead_after": 120000, "on_dead": "wait"}'
PLAN = SourcePlan((TemplateNode(Request((Variant(amounts=((CPU, 1_000),)),)), completes=True),), units=9)
GONE, THERE = 1, COUNT
"""A task of the first page of tasks, and one of the last."""
ONE, BOTH, PASSED, OTHER = range(COUNT + 1, COUNT + 5)


def add_dependents(home: Home) -> None:
    """One waits for a task of the first page, one for another, too, one does so no more, and one waits elsewhere."""
    after = {ONE: (GONE,), BOTH: (GONE, THERE), PASSED: (GONE,), OTHER: (THERE,)}
    rows = [a_task(n, run=2, state=TaskState.READY if n == PASSED else TaskState.WAITING) for n in after]
    added = [TaskAdded(row, SPEC, "{}", tuple(Dependency(one) for one in after[row.id])) for row in rows]
    store = Store.open(home)
    store.commit(a_batch([a_run(2), *added]))
    store.close()


def machine_of(home: Home) -> Machine:
    store = Store.open(home)
    saved, now = store.load(), store.last_now
    store.close()
    machine = Machine.restore(saved)
    machine.handle([], now, 0)
    invariants.check(machine, now)
    return machine


def states_in(machine: Machine) -> list[str]:
    return [machine.state.tasks[TaskId(task)].state.value for task in (ONE, BOTH, PASSED, OTHER)]


def test_who_comes_after_a_task_that_is_lost_is_held_and_says_so(home: Home) -> None:
    """It counted as fulfilled, or was waited for without end and without a reason."""
    fill(home)
    add_dependents(home)
    spoil_table(home, "tasks")
    report = repair(home)
    assert report.missing[0][0] == GONE
    assert report.held == (ONE, BOTH)
    machine = machine_of(home)
    assert states_in(machine) == ["held", "held", "ready", "waiting"]
    message = machine.state.tasks[TaskId(ONE)].message
    assert message == "task 1, which it comes after, was lost with the store; look at what that left, then release it"
    machine.handle([Released((TaskId(ONE), TaskId(BOTH)))], 5_000, 0)
    invariants.check(machine, 5_000)
    assert states_in(machine) == ["ready", "waiting", "ready", "waiting"]


def a_source(state: SourceState = SourceState.OPEN, **fields: object) -> SourceRow:
    row = SourceRow(RunId(7), "bench", "default", 0, state, False, 1, 1, 0, "", 1_000, None)
    return row._replace(**fields)


def with_a_source(home: Home) -> Store:
    """A store with a run that has more units to come, and its backup."""
    store = Store.open(home)
    unit, task = UnitRow(RunId(7), 0, 0, 1, 1_000, None), TaskAdded(a_task(1, run=7), SPEC, "{}", (), Cell(0, 0))
    store.commit(a_batch([PoolChanged("cpu", "amount", POOL), a_run(7), SourceAdded(a_source(), PLAN, "{}", ("[0]",))]))
    store.commit(a_batch([UnitChanged(unit), task]))
    store.backup()
    return store


def end(store: Store, state: SourceState) -> None:
    ended = {"state": TaskState.CANCELLED, "outcome": OutcomeKind.CANCELLED, "ended_at": 2_000}
    unit = UnitChanged(UnitRow(RunId(7), 0, 0, 1, 1_000, 2_000))
    store.commit(
        a_batch([SourceChanged(a_source(state, ended_at=2_000)), unit, TaskChanged(a_task(1, run=7, **ended))])
    )


def test_a_run_that_was_cancelled_since_the_backup_does_not_go_on_by_itself(home: Home) -> None:
    """It was asked for its next unit at once, if the row that said so was lost."""
    store = with_a_source(home)
    end(store, SourceState.CANCELLED)
    store.close()
    spoil_table(home, "sources")
    report = repair(home)
    assert (report.held, report.held_runs, report.from_backup) == ((), (7,), 0)
    assert "Runs that bring no more tasks: 1. To let them go on: passloop release @7" in report.sentences()
    machine = machine_of(home)
    assert not machine.handle([], 5_000, 0).instructions
    assert machine.sources()[0].blockers[0].sentence == "run 7 is held: passloop release @7"
    (order,) = machine.handle([Released((), (RunId(7),))], 6_000, 0).instructions
    assert isinstance(order, Expand)


@pytest.mark.parametrize("table", ["pools", "meta", "sources", "tasks"])
def test_a_run_that_was_removed_since_the_backup_does_not_come_back(home: Home, table: str) -> None:
    """Its units came back without a word, whatever page was lost, and were asked for, and paid for, once more."""
    store = with_a_source(home)
    end(store, SourceState.EXHAUSTED)
    store.commit(a_submission(1, run=8, first=2))
    store.commit(a_batch([a_run(9), SourceAdded(a_source(run=RunId(9)), PLAN, "{}", ())]))  # so that a page is there
    assert store.remove_tasks([1]) == (1,)
    store.close()
    spoil_table(home, table)
    report = repair(home)
    assert (report.from_backup, 1 in dict(report.missing)) == (0, False)
    assert 7 not in {source.row.run for source in machine_of(home).sources()}
    with Store.open(home).reader() as reader:
        assert reader.run("7") is None
        assert reader.unit_spec(7, 0) is None


def test_a_run_that_the_store_is_too_old_to_know_comes_back_held(home: Home) -> None:
    """It is no run that was removed."""
    store = Store.open(home)
    store.commit(a_submission(1, run=6, first=9))
    early = store.backup(home.path / "early")
    store.close()
    with_a_source(home).close()
    early.replace(home.database)
    assert repair(home).held_runs == (7,)
    assert [source.row.held for source in machine_of(home).sources()] == [True]
    with Store.open(home).reader() as reader:
        assert reader.run("7") is not None


@pytest.mark.parametrize("reason", [RECALL, STRAY])
def test_what_a_repair_holds_was_stopped_by_nobody(home: Home, reason: str) -> None:
    """It is released, runs, and is then ended as any other. A repair of an earlier version left the reason on it."""
    store = Store.open(home)
    store.commit(a_submission(COUNT))
    store.commit(a_batch([AttemptChanged(an_attempt(1, state="running", allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(1, attempts=1, state=TaskState.STOPPING, stop_reason=reason))]))
    store.close()
    spoil_table(home, "attempts")
    assert 1 in repair(home).held
    store = Store.open(home)
    with store.reader() as reader:
        held = reader.task(1).row
    assert (held.state, held.stop_reason) == (TaskState.HELD, "")
    store.commit(a_batch([TaskChanged(held._replace(stop_reason=reason))]))
    store.close()
    machine = machine_of(home)
    now = machine.state.now
    turn = machine.handle([*declared_pools({}), DrainChanged(draining=False), Released((TaskId(1),))], now, 0)
    (start,) = (one for one in turn.instructions if isinstance(one, Start))
    machine.handle([Started(start.attempt, start.epoch, "{}")], now, 0)
    turn = machine.handle([Cancelled((TaskId(1),), "enough")], now, 0)
    assert [one.attempt for one in turn.instructions if isinstance(one, Stop)] == [start.attempt]


def test_who_is_held_after_it_was_called_back_is_no_bar_to_a_shutdown(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(1))
    store.commit(a_batch([TaskChanged(a_task(1, state=TaskState.HELD, held=True, stop_reason=RECALL))]))
    store.close()
    machine = machine_of(home)
    turn = machine.handle([DrainChanged(draining=True, stop_running=True)], machine.state.now, 0)
    assert not [one for one in turn.instructions if isinstance(one, Stop)]


CALL = TaskSpec(Request((Variant(),)), driver="calls")
SAID = "Tasks that ran when this was stored: 1. What lives goes on; what does not is held."


def under_way(home: Home, spec: TaskSpec) -> Store:
    """Task 1 runs, and nothing came after it; a copy is beside the store, and its own backup."""
    store = Store.open(home)
    row = a_task(1)
    store.commit(a_batch([a_run(1), TaskAdded(row, spec, "{}", ())]))
    store.commit(a_batch([AttemptChanged(an_attempt(1, driver=spec.driver, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(row._replace(state=TaskState.RUNNING, attempts=1))]))
    store.backup(home.path / "copy")
    store.backup()
    return store


def put_back(home: Home) -> None:
    shutil.copyfile(home.path / "copy", home.database)


def lose_its_rows(home: Home) -> None:
    """All of tasks and attempts comes from the backup then, and no batch is lost."""
    spoil_table(home, "tasks")
    spoil_table(home, "attempts")


async def reattached(home: Home) -> tuple[Event, ...]:
    """What the driver of calls says to an engine that begins."""
    store = Store.open(home)
    live = live_attempts(store, store.load())["calls"]
    store.close()
    heard: list[Event] = []
    driver = CallDriver(SystemClock())
    await driver.start(heard.append)
    await driver.reattach(live)
    await driver.stop()
    return tuple(heard)


@pytest.mark.parametrize("harm", [put_back, lose_its_rows])
async def test_a_call_that_was_answered_since_the_copy_is_not_paid_for_again(
    home: Home, harm: Callable[[Home], None]
) -> None:
    """It was under way at the copy. No call outlives its engine, so it was sent again as soon as there was one."""
    store = under_way(home, CALL)
    store.commit(a_batch([AttemptChanged(an_end(1, driver="calls", allocation=Allocation(0)))]))
    ended = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "ended_at": 2_000}
    store.commit(a_batch([TaskChanged(a_task(1, attempts=1, **ended))], results=((1, '"an answer"'),)))
    store.close()
    harm(home)
    report = repair(home)
    assert (report.held, report.held_running, SAID in report.sentences()) == ((), (1,), True)
    machine, heard = machine_of(home), await reattached(home)
    now = machine.state.now
    turn = machine.handle([*declared_pools({}), DrainChanged(draining=False), *heard], now, 0)
    assert not turn.instructions
    assert [(task.state, task.message != "") for task in machine.state.tasks.values()] == [(TaskState.HELD, True)]
    (order,) = machine.handle([Released((TaskId(1),))], now, 0).instructions
    assert isinstance(order, Start)


def test_a_command_that_ended_and_was_removed_since_the_copy_does_not_run_again(home: Home) -> None:
    """Its folder is gone with it, so it was taken for one that had never started."""
    store = under_way(home, TaskSpec(Request((Variant(),))))
    store.commit(a_batch([AttemptChanged(an_end(1, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(1, attempts=1, state=TaskState.SUCCEEDED, ended_at=2_000))]))
    assert store.remove_tasks([1]) == (1,)
    store.close()
    home.backup.unlink()
    put_back(home)
    assert repair(home).held_running == (1,)
    machine = machine_of(home)
    lost = look(home.runs / "1" / "1" / "1", "its name").outcome
    assert lost is not None
    now = machine.state.now
    events = [*declared_pools({}), DrainChanged(draining=False), Exited(AttemptId(1), 1, lost)]
    assert not machine.handle(events, now, 0).instructions
    assert machine.counts() == {"held": 1}


def test_a_task_whose_next_attempt_is_lost_does_not_start_beside_it(home: Home) -> None:
    """The first, as the backup knew it, was looked for, had failed, and was followed by another."""
    store = under_way(home, SPEC)
    ended = an_end(1)._replace(outcome=Outcome(OutcomeKind.FAILURE, 1))
    second = an_attempt(2, task=TaskId(1), epoch=2)
    store.commit(a_batch([AttemptChanged(ended), AttemptChanged(second)]))
    store.commit(a_batch([TaskChanged(a_task(1, attempts=2, failures=1, state=TaskState.RUNNING))]))
    store.close()
    spoil_table(home, "attempts")
    report = repair(home)
    assert (report.from_backup, report.lost_batches, report.held_running) == (0, 0, (1,))
    assert [task.held for task in machine_of(home).state.tasks.values()] == [True]


def test_what_still_runs_ends_as_it_ends_after_a_repair(home: Home) -> None:
    under_way(home, SPEC).close()
    spoil_table(home, "attempts")
    assert repair(home).held_running == (1,)
    machine = machine_of(home)
    machine.handle([Exited(AttemptId(1), 1, Outcome(OutcomeKind.SUCCESS, 0))], machine.state.now, 0)
    assert machine.counts() == {"succeeded": 1}


def test_an_older_copy_beside_the_last_one_starts_nothing_that_has_changed_since(home: Home) -> None:
    """No batch is lost then, for the backup has the last one; still a row that only grew older passed for certain."""
    store = under_way(home, SPEC)
    store.commit(a_submission(3, run=2, first=2))
    store.commit(a_batch([AttemptChanged(an_attempt(4, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(4, run=2, attempts=1, state=TaskState.RUNNING))]))
    store.backup(home.path / "copy")
    ended = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "ended_at": 2_000}
    store.commit(a_batch([AttemptChanged(an_end(1)), TaskChanged(a_task(1, attempts=1, **ended))]))
    store.remove_tasks([1])
    store.commit(a_batch([TaskChanged(a_task(2, run=2, held=True, state=TaskState.HELD))]))
    store.commit(a_batch([TaskChanged(a_task(4, run=2, attempts=1, state=TaskState.RUNNING, priority=9))]))
    store.backup()
    store.close()
    put_back(home)
    report = repair(home)
    assert (report.lost_batches, report.missing, report.held, report.held_running) == (0, (), (2,), (4,))
    assert machine_of(home).counts() == {"held": 1, "admitted": 1, "running": 1}


def twice(home: Home) -> Store:
    """Task 1 failed and left a result, which the copy and the backup have; then it succeeded with another."""
    store = Store.open(home)
    store.commit(a_submission(1))
    store.commit(a_batch([AttemptChanged(an_attempt(1, state="running"))]))
    failed = an_end(1)._replace(outcome=Outcome(OutcomeKind.FAILURE, 1))
    row = a_task(1, attempts=1, failures=1)
    store.commit(a_batch([AttemptChanged(failed), TaskChanged(row)], results=((1, '{"loss": 5}'),)))
    store.backup(home.path / "copy")
    store.backup()
    again = an_attempt(2, task=TaskId(1), epoch=2)
    store.commit(a_batch([AttemptChanged(again)]))
    ended = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "ended_at": 2_000}
    changes = [
        AttemptChanged(an_end(2)._replace(task=TaskId(1), epoch=2)),
        TaskChanged(a_task(1, attempts=2, failures=1, **ended)),
    ]
    store.commit(a_batch(changes, results=((1, '{"loss": 1}'),)))
    return store


def results_of(home: Home) -> dict[TaskId, str]:
    store = Store.open(home)
    try:
        return store.results_of([1])
    finally:
        store.close()


def test_results_of_an_older_copy_do_not_pass_for_those_of_the_last_attempt(home: Home) -> None:
    store = twice(home)
    store.backup()
    store.close()
    put_back(home)
    assert repair(home).held == ()
    assert results_of(home) == {1: '{"loss": 1}'}


@pytest.mark.parametrize("table", ["results", "tasks"])
def test_a_backup_has_no_results_of_a_task_that_ended_once_more_since(home: Home, table: str) -> None:
    """What the page that is gone had is lost, then, and not something else."""
    twice(home).close()
    spoil_table(home, "results")
    if table != "results":
        spoil_table(home, table)
    repair(home)
    assert results_of(home) == {}


def test_results_that_the_backup_has_of_the_last_attempt_are_back(home: Home) -> None:
    store = twice(home)
    store.backup()
    store.close()
    spoil_table(home, "results")
    repair(home)
    assert results_of(home) == {1: '{"loss": 1}'}


@pytest.mark.parametrize("store_is", ["an older copy", "without its journal"])
def test_groups_pools_and_settings_are_as_the_newer_of_store_and_backup_has_them(home: Home, store_is: str) -> None:
    """A group that was held since the copy was open again. What lost its journal's end is no older store."""
    before = [GroupChanged("g", 0, False), SettingChanged("draining", "false"), PoolChanged("cpu", "amount", POOL)]
    after = [
        GroupChanged("g", 9, True),
        SettingChanged("draining", "true"),
        PoolChanged("cpu", "amount", POOL.replace("4000", "5000")),
    ]
    store = Store.open(home)
    store.commit(a_submission(1))
    store.commit(a_batch(before))
    store.backup(home.path / "copy")
    store.backup()
    store.commit(a_batch(after))
    if store_is == "an older copy":
        store.backup()
    store.close()
    if store_is == "an older copy":
        put_back(home)
    else:
        spoil_table(home, "journal")
    repair(home)
    store = Store.open(home)
    saved = store.load()
    store.close()
    assert [*saved.groups, *saved.settings, *saved.pools] == after
