"""A repair lets nothing go on by itself of which it lost, or took from a backup, what would tell whether it may."""

from __future__ import annotations

from passloop.kernel import invariants
from passloop.kernel.changes import TaskAdded
from passloop.kernel.events import Released
from passloop.kernel.ids import TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.tasks import Dependency, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.repair import repair
from tests.support.store_rows import SPEC, a_batch, a_run, a_task
from tests.unit.store.test_repair import COUNT, fill, spoil_table

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
