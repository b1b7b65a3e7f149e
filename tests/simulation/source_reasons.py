"""Whether a source that is not asked for more says why, and truly: on a copy of the machine all that it names is freed,
and it must be asked, or name something else, which is freed in turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from passloop.kernel.blockers import Blocker, BlockerCode
from passloop.kernel.events import Held, Released
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.saved import Saved
from passloop.kernel.source_records import Source
from passloop.kernel.source_rows import SourceState
from passloop.kernel.source_status import SourceStatus
from passloop.kernel.tasks import TaskState

from .reasons import Trial, at_rest

__all__ = ["check_source_reasons", "source_reasons_are_true"]

UNASKED = {SourceState.OPEN, SourceState.RESTING}
ROUNDS = 40


def check_source_reasons(machine: Machine, now: int) -> None:
    """At rest every open source that is not asked for a unit says why, and waits for no pool that its run gave up."""
    if not machine.state.sources or not at_rest(machine, now):
        return
    for status in machine.sources():
        silent = status.row.state in UNASKED and not status.blockers
        assert not silent, f"source {status.row} is not asked for a unit, for no reason"
        given_up = status.row.state is SourceState.OPEN and _waits_for_the_lost(machine, status)
        assert not given_up, f"source {status.row} is left half though nothing else is to come: {status.blockers}"


def _waits_for_the_lost(machine: Machine, status: SourceStatus) -> bool:
    """Whether all that it waits for are dead pools, and of each node that draws on one, also by way of a pool inside
    it, calls are to fail.
    """
    if any(one.code is not BlockerCode.DEAD for one in status.blockers):
        return False
    names = {one.pool for one in status.blockers}
    waiting = []
    for node in machine.state.sources[status.row.run].nodes:
        dead = {pool.name for variant in node.shape.variants for pool, _ in variant.draws if pool.name in names}
        waiting += [{node.shape.spec.on_dead or machine.state.policies[name].on_dead for name in dead}] if dead else []
    return bool(waiting) and all(wishes - {"wait"} for wishes in waiting)


def source_reasons_are_true(machine: Machine, load: Callable[[], Saved], chance: random.Random) -> int:
    """Put the reasons of one source to the test; gives how many rounds it took, 0 if there is none."""
    waiting = [run for run, source in machine.state.sources.items() if source.state in UNASKED]
    if not waiting:
        return 0
    copy = Machine.restore(load(), machine.state.settings)
    return _SourceTrial(copy, chance.choice(waiting), [device.uuid for device in machine.devices()]).free_source()


class _SourceTrial(Trial):
    def __init__(self, machine: Machine, run: int, uuids: list[str]) -> None:
        super().__init__(machine, uuids)
        self.run = run

    @property
    def source(self) -> Source:
        return self.machine.state.sources[self.run]

    def free_source(self) -> int:
        """Free what is named until the source is asked, while other sources are held. Tasks that are ready take
        what is freed, so there may be as many rounds as tasks.
        """
        others = tuple(RunId(run) for run in self.machine.state.sources if run != self.run)
        self.handle([Held((), sources=others)])
        for count in range(ROUNDS + len(self.machine.state.tasks)):
            if self.source.state not in UNASKED:
                return count + 1
            (status,) = (one for one in self.machine.sources() if one.row.run == self.run)
            assert status.blockers, f"source {status.row} is not asked for a unit, for no reason"
            for blocker in status.blockers:
                if not self._free_one_of_source(blocker):
                    return count + 1
        raise AssertionError(f"source {self.source.row()} is never asked: {self.machine.sources()}")

    def _free_one_of_source(self, blocker: Blocker) -> bool:
        """What one blocker of the source names is so no longer; False if nothing in the copy can change it."""
        match blocker.code:
            case BlockerCode.HELD:
                self.handle([Released((), sources=(RunId(self.run),))])
            case BlockerCode.DEPENDENCY:
                self.remove(self._mine()[:1])
            case BlockerCode.MEMORY_GUARD if blocker.node is not None:
                self.remove([task for task in self._mine() if self._node_of(task) == blocker.node])
            case BlockerCode.MEMORY_GUARD:
                oldest = min(self.source.units)
                self.remove([task for task in self._mine() if self._unit_of(task) == oldest])
            case BlockerCode.POOL_BUSY if blocker.pool is None:
                self._empty_node(blocker)
            case BlockerCode.POOL_BUSY | BlockerCode.LIMIT | BlockerCode.RESERVED:
                self.remove(blocker.holders)
            case BlockerCode.RATE:
                self.wait(blocker)
            case BlockerCode.CAPACITY if blocker.pool != "gpu":
                return False
            case _:
                self.free_place(blocker)
        return True

    def _empty_node(self, blocker: Blocker) -> None:
        """Enough is ready at a node."""
        assert blocker.node is not None, f"nobody can say which node has enough: {blocker}"
        tasks, nodes = self.machine.state.tasks, self.source.nodes
        kin = nodes[blocker.node].kin
        ready = [task for task in self._mine() if tasks[task].state is TaskState.READY]
        self.remove([task for task in ready if nodes[self._node_of(task)].kin == kin])

    def _mine(self) -> list[TaskId]:
        return [
            TaskId(task.id) for task in self.machine.state.tasks.values() if task.run == self.run and not task.final
        ]

    def _unit_of(self, task: int) -> int:
        cell = self.machine.state.tasks[task].cell
        return -1 if cell is None else cell.unit.number

    def _node_of(self, task: int) -> int:
        cell = self.machine.state.tasks[task].cell
        return 0 if cell is None else cell.number
