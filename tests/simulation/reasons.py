"""Whether `explain` tells the truth: nobody waits without a reason, and what a reason names is what stands in the way.

A reason is put to the test on a copy of the machine: all that it names is freed there, and the task must start, or wait
for something else, which is freed in turn. Other tasks that merely wait are held meanwhile: they are named by nobody,
so they must not matter. On another copy one of several reasons is left alone while all others are freed: then the task
must not start, or that was none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable

from passloop.kernel.blockers import Blocker, BlockerCode
from passloop.kernel.events import (
    Cancelled,
    DevicesSeen,
    DrainChanged,
    Event,
    Exited,
    Held,
    PauseChanged,
    PoolOpened,
    QuarantineReleased,
    Released,
    StrayGone,
    WorkerGone,
)
from passloop.kernel.ids import AttemptId, PoolName, TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.records import Attempt, Task
from passloop.kernel.saved import Saved
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskState
from tests.support.builders import seen
from tests.support.mirrored import differences

__all__ = ["Trial", "at_rest", "check_reasons", "named_reasons_are_true"]

WAITS = {TaskState.WAITING, TaskState.HELD, TaskState.BACKOFF, TaskState.READY}
ROUNDS = 12
ASKED = 4
DONE = Outcome(OutcomeKind.SUCCESS, exit_code=0)
GONE = Outcome(OutcomeKind.CANCELLED)
NEEDED = {
    BlockerCode.DEPENDENCY, BlockerCode.HELD, BlockerCode.BACKOFF, BlockerCode.POOL_BUSY, BlockerCode.LIMIT,
    BlockerCode.RATE, BlockerCode.COOLING, BlockerCode.DEAD, BlockerCode.EVICTING, BlockerCode.DRAINING,
    BlockerCode.PAUSED,
}  # fmt: skip
"""Each of these alone keeps a task that has one variant left. One that is reserved for may start itself, a device that
is vetoed or quarantined is one of several, and what was never probed may be probed by whoever comes."""
BY_TIME = {BlockerCode.BACKOFF, BlockerCode.RATE, BlockerCode.COOLING, BlockerCode.DEAD}
HELD_BY = {BlockerCode.POOL_BUSY, BlockerCode.LIMIT}
OF_DEVICES = {BlockerCode.VETOED, BlockerCode.QUARANTINED, BlockerCode.CAPACITY}
WORKER = re.compile(r"worker (\d+) of run")
"""How the sentence of a reason names a worker."""


def at_rest(machine: Machine, now: int) -> bool:
    """Whether nothing changes by itself now."""
    wake_at = machine.state.wakeups.next()
    return not machine.state.turn.admission and (wake_at is None or wake_at > now)


def _waits(machine: Machine, task: Task) -> bool:
    """Whether a task has not been given its start, for whatever reason."""
    kept_back = task.attempt is not None and task.attempt.id in machine.state.workers.kept_back
    return task.state in WAITS or (task.state is TaskState.ADMITTED and kept_back)


def check_reasons(machine: Machine, now: int, chance: random.Random) -> None:
    """At rest every task that waits has a reason, and a few of them are asked; no pool is closed beyond its time."""
    if not at_rest(machine, now):
        return
    for pool in machine.state.pools.values():
        until = None if pool.closure is None else pool.closure.until
        assert until is None or until > now, f"pool {pool.name} was {pool.gate()} until {until}, and still is"
    waiting = [task for task in machine.state.tasks.values() if _waits(machine, task)]
    for task in chance.sample(waiting, min(len(waiting), ASKED)):
        assert machine.explain(TaskId(task.id), now), f"task {task.id} is {task.state} for no reason"


def named_reasons_are_true(machine: Machine, load: Callable[[], Saved], chance: random.Random) -> int:
    """Put the reasons of one waiting task to the test, on a copy of what `load` finds stored, which must know what the
    machine does; gives how many rounds it took, 0 if nobody waits.
    """
    waiting = [task.id for task in machine.state.tasks.values() if _waits(machine, task)]
    if not waiting:
        return 0
    copy = _copy_of(machine, load)
    unlike = differences(copy, machine)
    assert not unlike, f"a restart remembers otherwise: {unlike}"
    uuids = [device.uuid for device in machine.devices()]
    chosen = chance.choice(waiting)
    left = _one_of_several(machine, chosen)
    tried = Trial(copy, uuids).free(chosen)
    return tried if left is None else tried + Trial(_copy_of(machine, load), uuids).leave(chosen, left)


def _copy_of(machine: Machine, load: Callable[[], Saved]) -> Machine:
    copy = Machine.restore(load(), machine.state.settings)
    copy.handle((), machine.state.now)
    return copy


def _one_of_several(machine: Machine, task_id: int) -> Blocker | None:
    """One of the reasons of a task, if it has several and needs to be rid of each."""
    task = machine.state.tasks[task_id]
    named = machine.explain(TaskId(task_id), machine.state.now)
    needed = [one for one in named if one.code in NEEDED]
    if len(named) < 2 or not needed or len(task.shape.variants) - task.variant_from > 1:
        return None
    return needed[machine.state.now % len(needed)]


class Trial:
    """A copy of a machine, in which what stands in the way is freed."""

    def __init__(self, machine: Machine, uuids: list[str]) -> None:
        self.machine = machine
        self.uuids = uuids
        self.now = machine.state.now

    def free(self, task_id: int) -> int:
        """Free what is named until the task starts, while all others that merely wait are held."""
        self._hold_others(task_id)
        return self._start(task_id)

    def leave(self, task_id: int, left: Blocker) -> int:
        """Free all that is named but one: the task must wait on, as long as that is so. Gives how many rounds it took,
        0 if what was freed ended that as well.
        """
        self._hold_others(task_id)
        began, tasks = self.now, self.machine.state.tasks
        for count in range(ROUNDS):
            others = [one for one in self.machine.explain(TaskId(task_id), self.now) if not _is_like(one, left)]
            for blocker in others:
                self._free_one(tasks[task_id], blocker)
                task = tasks.get(task_id)
                if task is None or task.final or not self._is_still_so(left, others, began):
                    return 0
                assert _waits(self.machine, task), f"task {task_id} starts though nobody freed it of {left}"
            if not others:
                return count
        return ROUNDS

    def _is_still_so(self, left: Blocker, freed: Iterable[Blocker], began: int) -> bool:
        """Whether what was left alone was not ended with what was freed."""
        state = self.machine.state
        if left.code is BlockerCode.DEPENDENCY:
            return left.holders[0] in state.tasks and not state.tasks[left.holders[0]].final
        if left.code is BlockerCode.EVICTING:  # what comes back meanwhile may make one of two enough
            return all(one.pool != left.pool for one in freed)
        if left.code in BY_TIME:
            return self.now == began
        if left.code in HELD_BY:
            mended = left.pool == "gpu" and any(one.code in OF_DEVICES for one in freed)
            return not mended and set(left.holders) <= {attempt.task for attempt in state.attempts.values()}
        return True

    def _hold_others(self, task_id: int) -> None:
        tasks = self.machine.state.tasks
        family = self._family(task_id)
        others = tuple(
            TaskId(task.id)
            for task in tasks.values()
            if task.state in WAITS and task.reservation is None and task.id not in family
        )
        self.handle([Held(others), DrainChanged(draining=self.machine.state.draining)])

    def _start(self, task_id: int) -> int:
        """Free what is named until the task starts. Raises AssertionError if it never does."""
        tasks = self.machine.state.tasks
        before: list[tuple[object, ...]] = []
        for count in range(ROUNDS + len(self.machine.state.reserved)):
            task = tasks.get(task_id)
            if task is None or not _waits(self.machine, task):
                return count + 1
            blockers = self.machine.explain(TaskId(task_id), self.now)
            named = [(one.code, one.pool, one.holders, one.until) for one in blockers]
            assert named, f"task {task_id} is {task.state} for no reason"
            assert named not in before, f"task {task_id} waits though all is freed of {blockers}"
            before.append(named)
            for blocker in blockers:
                if _waits(self.machine, task):
                    self._free_one(task, blocker)
        raise AssertionError(f"task {task_id} never starts, though all it named was freed: {before}")

    def _family(self, task_id: int) -> set[int]:
        """The task and all it waits for, directly or not."""
        family, more = {task_id}, [task_id]
        while more:
            task = self.machine.state.tasks.get(more.pop())
            fresh = (task.unmet if task is not None else set()) - family
            family |= fresh
            more.extend(fresh)
        return family

    def handle(self, events: Iterable[Event]) -> None:
        """This happens in the copy."""
        self.machine.handle(tuple(events), self.now)

    def _free_one(self, task: Task, blocker: Blocker) -> None:
        """What one blocker of a task names is so no longer."""
        match blocker.code:
            case BlockerCode.DEPENDENCY:
                self._bring_to_success(blocker.holders[0])
            case BlockerCode.HELD:
                self.handle([Released((TaskId(task.id),))])
            case BlockerCode.BACKOFF | BlockerCode.RATE:
                self.wait(blocker)
            case BlockerCode.POOL_BUSY | BlockerCode.LIMIT | BlockerCode.RESERVED:
                self.remove(blocker.holders)
            case BlockerCode.EVICTING:
                self._end_worker(blocker)
            case _:
                self.free_place(blocker)

    def free_place(self, blocker: Blocker) -> None:
        """What a blocker names of pools, devices and the engine is so no longer."""
        match blocker.code:
            case BlockerCode.COOLING | BlockerCode.DEAD:
                assert blocker.pool is not None
                self.handle([PoolOpened(PoolName(blocker.pool))])
            case BlockerCode.PROBING:
                self._succeed(blocker.holders)
            case BlockerCode.VETOED | BlockerCode.QUARANTINED | BlockerCode.CAPACITY:
                self._mend_devices()
            case BlockerCode.DRAINING:
                self.handle([DrainChanged(draining=False)])
            case BlockerCode.PAUSED:
                self.handle([PauseChanged(paused=False)])
            case code:
                raise AssertionError(f"nobody has said how to free a task of {code}")

    def _end_worker(self, blocker: Blocker) -> None:
        named = WORKER.search(blocker.sentence)
        assert named is not None, f"nobody can say who is being ended: {blocker}"
        self.handle([WorkerGone(AttemptId(int(named[1])))])

    def wait(self, blocker: Blocker) -> None:
        """It is as late as the blocker says that it lasts."""
        assert blocker.until is not None, f"nobody can say until when: {blocker}"
        self.now = max(self.now, blocker.until)
        self.handle([])

    def _bring_to_success(self, task_id: int) -> None:
        for _ in range(ROUNDS):
            task = self.machine.state.tasks.get(task_id)
            if task is None or task.final:
                return
            self._start(task_id)
            self._succeed([task_id])
        raise AssertionError(f"task {task_id} never ends well")

    def _succeed(self, holders: Iterable[int]) -> None:
        for task_id in holders:
            for attempt in self._attempts_of(task_id):
                self.handle([_end_of(attempt, DONE)])

    def remove(self, holders: Iterable[int]) -> None:
        """Tasks that hold something are gone, with all that is left of them."""
        for task_id in holders:
            self.handle([Cancelled((TaskId(task_id),))])
            for attempt in self._attempts_of(task_id):
                self.handle([_end_of(attempt, GONE)])

    def _attempts_of(self, task_id: int) -> list[Attempt]:
        return [attempt for attempt in self.machine.state.attempts.values() if attempt.task == task_id]

    def _mend_devices(self) -> None:
        mended = tuple(seen(int(uuid.removeprefix("GPU-"))) for uuid in self.uuids)
        self.handle([*(QuarantineReleased(uuid) for uuid in self.uuids), DevicesSeen(mended)])


def _is_like(one: Blocker, other: Blocker) -> bool:
    """Whether two are the same reason, whatever became of its numbers."""
    if one.code in (BlockerCode.DEPENDENCY, BlockerCode.EVICTING):
        return (one.code, one.holders, one.sentence[:24]) == (other.code, other.holders, other.sentence[:24])
    return (one.code, one.pool) == (other.code, other.pool)


def _end_of(attempt: Attempt, outcome: Outcome) -> Event:
    if attempt.state == "stray":
        return StrayGone(attempt.id, attempt.epoch)
    return Exited(attempt.id, attempt.epoch, outcome)
