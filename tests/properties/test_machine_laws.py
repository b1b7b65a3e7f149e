"""The laws of the machine under any sequence of what can happen to it, against the rows a store would keep.

The rules alone: `test_p15_the_machine_is_right.py` runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import initialize, precondition, rule

from passloop.kernel.changes import SubmitAnswer
from passloop.kernel.events import (
    Cancelled,
    DevicesSeen,
    DrainChanged,
    Event,
    Exited,
    Expanded,
    Foreign,
    GroupHeld,
    GroupReleased,
    Held,
    PauseChanged,
    PoolDeclared,
    PoolKind,
    PoolOpened,
    QuarantineReleased,
    Released,
    Reprioritised,
    Started,
    StartRefused,
    StrayGone,
    Submitted,
)
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.pools import NO_RATE
from passloop.kernel.tasks import AttemptRow, Dependency, NewTask, OutcomeKind, RetryBudgets, TaskSpec
from tests.properties.source_rules import SourceRules
from tests.support.builders import GIB, HOUR, MINUTE, SECOND, ask, outcome, seen, spec_of
from tests.support.watched import WatchedWorld

SMALL = 40 * GIB
LARGE = 80 * GIB
INVENTORY = (seen(0, vram=LARGE), seen(1, vram=LARGE), seen(2, vram=SMALL), seen(3, vram=SMALL))
TRY_AGAIN = RetryBudgets(failure=2, timeout=1, out_of_memory=2, lost=3)

REQUESTS = (
    (ask(gpus=1),),
    (ask(gpus=1, cpus=4),),
    (ask(gpus=2),),
    (ask(gpus=2, balance=True),),
    (ask(gpus=4),),
    (ask(gpus=4, memory=48 * GIB),),
    (ask(gpus=1, vram=60 * GIB),),
    (ask(share=0.5),),
    (ask(share=0.25),),
    (ask(share=0.25, vram=30 * GIB),),
    (ask(cpus=4),),
    (ask(cpus=12),),
    (ask(memory=40 * GIB),),
    (ask(gpus=2), ask(gpus=1, cpus=4), ask(cpus=8)),
    (ask(gpus=6),),
    (ask(cpus=1, model=1),),
    (ask(model=1, tokens=30),),
    (ask(cpus=1, quota=50),),
    (ask(other=2),),
    (ask(cpus=8, exclusive=True),),
)
DECLARED_AGAIN = (
    *(PoolDeclared(PoolName("tokens"), PoolKind.RATE, rate) for rate in (40, 100, 300, NO_RATE)),
    *(PoolDeclared(PoolName("provider"), PoolKind.LIMIT, places) for places in (2, 4, 6)),
    *(PoolDeclared(PoolName("model"), PoolKind.LIMIT, places, parent=PoolName("provider")) for places in (1, 3, 5)),
    PoolDeclared(PoolName("model"), PoolKind.LIMIT, 3),
    PoolDeclared(PoolName("model"), PoolKind.LIMIT, 3, parent=PoolName("other")),
    PoolDeclared(PoolName("other"), PoolKind.LIMIT, 2, parent=PoolName("provider"), on_dead="fail"),
    PoolDeclared(PoolName("other"), PoolKind.LIMIT, 3, parent=PoolName("provider")),
    PoolDeclared(PoolName("quota"), PoolKind.RATE, NO_RATE),
)
LIMITS = (None, None, 30 * SECOND, 10 * MINUTE)
PATIENCES = (None, None, 0, 2 * MINUTE)
PAUSES = (0, 1, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR)
GROUPS = ("default", "default", "other", "other/inner")
ENDINGS = tuple(OutcomeKind)


def _specs() -> st.SearchStrategy[TaskSpec]:
    return st.builds(
        lambda request, limit, patience, retries, named, deadline: spec_of(
            *request,
            limit=limit,
            patience=patience,
            retries=TRY_AGAIN if retries else RetryBudgets(),
            wait_for_capacity=True,
            task_class="class" if named else "",
            program="program",
            deadline=deadline,
        ),
        st.sampled_from(REQUESTS),
        st.sampled_from(LIMITS),
        st.sampled_from(PATIENCES),
        st.booleans(),
        st.booleans(),
        st.sampled_from((None, None, None, 5 * MINUTE)),
    )


PICK = st.integers(0, 10_000)
LATER = st.booleans()
SELDOM = st.sampled_from((False, False, False, True))
WISHES = ("cancel", "hold", "release", "release", "priority", "hold group", "release group", "release group")
LOOKS = ("taken", "free", "free", "lost", "all", "all", "vouched")


class MachineLaws(SourceRules):
    """Everything that can happen, in any order; the watched world judges every turn.

    With `later` an event waits in the inbox and is handled in one batch with what comes next.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = WatchedWorld(gpus=INVENTORY, cpus=16, memory=64 * GIB)
        self.inbox: list[Event] = []
        self.keys = 0

    @initialize(specs=st.lists(_specs(), min_size=3, max_size=8))
    def declare_pools_and_submit(self, specs: list[TaskSpec]) -> None:
        self.world.declare("provider", PoolKind.LIMIT, 4)
        self.world.declare("model", PoolKind.LIMIT, 3, parent="provider")
        self.world.declare("other", PoolKind.LIMIT, 3, parent="provider")
        self.world.declare("tokens", PoolKind.RATE, 100)
        self.world.declare("quota", PoolKind.RATE, NO_RATE)
        for spec in specs:
            self._submit([NewTask(spec=spec, index=index) for index in range(2)], later=False)

    def emit(self, event: Event, *, later: bool = False) -> None:
        """Put an event into the inbox and, unless it may wait, handle all that is there."""
        self.inbox.append(event)
        if not later:
            batch, self.inbox = self.inbox, []
            self.world.send(*batch, seed=len(self.world.batches))

    def attempts(self, *states: str) -> list[AttemptRow]:
        """Open attempts in these states that have no end waiting in the inbox."""
        ending = {event.attempt for event in self.inbox if isinstance(event, Exited | StartRefused)}
        return [row for row in self.world.rows.open_attempts() if row.state in states and row.id not in ending]

    def some_tasks(self, pick: int, many: int) -> tuple[TaskId, ...]:
        """A few tasks, live ones mostly."""
        rows = self.world.rows
        among = rows.live() or [TaskId(task) for task in rows.tasks]
        start = pick % len(among)
        return tuple(among[start : start + many])

    @rule(
        spec=_specs(),
        n=st.integers(1, 5),
        rank=st.integers(0, 1),
        group=st.sampled_from(GROUPS),
        priority=st.sampled_from((0, 0, 0, 1)),
        after=st.none() | st.none() | st.tuples(PICK, st.booleans()),
        held=SELDOM,
        later=LATER,
    )
    def submit(
        self,
        *,
        spec: TaskSpec,
        n: int,
        rank: int,
        group: str,
        priority: int,
        after: tuple[int, bool] | None,
        held: bool,
        later: bool,
    ) -> None:
        waits = self._dependencies(after)
        tasks = tuple(
            NewTask(spec=spec, index=index, rank=rank if index else 0, after=waits, held=held) for index in range(n)
        )
        self._submit(tasks, later=later, group=group, priority=priority)

    def _dependencies(self, after: tuple[int, bool] | None) -> tuple[Dependency, ...]:
        tasks = sorted(self.world.rows.tasks)
        if after is None or not tasks:
            return ()
        return (Dependency(tasks[after[0] % len(tasks)], any_end=after[1]),)

    def _submit(self, tasks: Sequence[NewTask], *, later: bool, **words: Any) -> None:
        rows = self.world.rows
        named = [dependency for task in tasks for dependency in task.after]
        keys = [task.key for task in tasks if task.key is not None]
        event = Submitted(
            name="run",
            tasks=tuple(tasks),
            known=rows.known_for(named),
            known_keys=rows.known_keys_for(keys),
            **words,
        )
        self.emit(event, later=later)

    @rule(spec=_specs(), key=st.sampled_from("ab"))
    def submit_with_key(self, spec: TaskSpec, key: str) -> None:
        found = dict(self.world.rows.known_keys_for([key]))
        self._submit([NewTask(spec=spec, key=key)], later=True)
        count = len(self.world.rows.tasks)
        batch, self.inbox = self.inbox, []
        newcomers = sum(len(event.tasks) for event in batch if isinstance(event, Submitted)) - 1
        turn = self.world.send(*batch)
        answer = turn.answers[-1]
        assert isinstance(answer, SubmitAnswer)
        if any(isinstance(event, Expanded) for event in batch):
            return  # a unit may have brought the key
        if key in found and not self._ended(batch, found[key]):
            assert answer.tasks == answer.existing == (found[key],)
            assert len(self.world.rows.tasks) == count + newcomers

    def _ended(self, batch: Sequence[Event], task: TaskId) -> bool:
        return self.world.rows.is_final(task) and any(isinstance(e, Exited | Cancelled) for e in batch)

    @precondition(lambda self: self.attempts("admitted"))
    @rule()
    def start_all(self) -> None:
        batch = [Started(row.id, row.epoch, '{"pid": 1}') for row in self.attempts("admitted")]
        self.inbox.extend(batch[1:])
        self.emit(batch[0])

    @precondition(lambda self: self.attempts("admitted"))
    @rule(pick=PICK, later=LATER)
    def start(self, pick: int, later: bool) -> None:
        row = self._one(pick, "admitted")
        self.emit(Started(row.id, row.epoch, '{"pid": 1}'), later=later)

    def _one(self, pick: int, *states: str) -> AttemptRow:
        rows = self.attempts(*states)
        return rows[pick % len(rows)]

    @precondition(lambda self: self.attempts("admitted", "running", "stopping"))
    @rule(pick=PICK, kind=st.sampled_from(ENDINGS), stray=st.sampled_from((False,) * 5 + (True,)), later=LATER)
    def end(self, pick: int, kind: OutcomeKind, stray: bool, later: bool) -> None:
        row = self._one(pick, "admitted", "running", "stopping")
        self.emit(Exited(row.id, row.epoch, self._outcome(kind, row), stray=stray), later=later)

    def _outcome(self, kind: OutcomeKind, row: AttemptRow) -> Any:
        names = [name for name, _ in row.allocation.amounts]
        if kind is OutcomeKind.RATE_LIMITED:
            return outcome(kind, status=429, pool=PoolName("model") if "model" in names else None)
        if kind is OutcomeKind.DEVICE_FAULT:
            return outcome(kind, device=row.allocation.devices[0].uuid if row.allocation.devices else None)
        if kind is OutcomeKind.SUCCESS and "tokens" in names:
            return outcome(kind, used=((PoolName("tokens"), 45),))
        return outcome(kind)

    @precondition(lambda self: self.attempts("running"))
    @rule(pick=PICK, later=LATER)
    def finish(self, pick: int, later: bool) -> None:
        row = self._one(pick, "running")
        self.emit(Exited(row.id, row.epoch, outcome("success")), later=later)

    @precondition(lambda self: self.attempts("running"))
    @rule(kind=st.sampled_from(("success", "success", "failure", "lost", "rate_limited")))
    def most_end(self, kind: str) -> None:
        """All that run but one end alike, in one batch."""
        for row in self.attempts("running")[1:]:
            self.emit(Exited(row.id, row.epoch, self._outcome(OutcomeKind(kind), row)), later=True)
        self.emit(DevicesSeen((), complete=False))

    @precondition(lambda self: self.attempts("stray"))
    @rule(pick=PICK)
    def stray_gone(self, pick: int) -> None:
        row = self._one(pick, "stray")
        self.emit(StrayGone(row.id, row.epoch))

    def refusable(self) -> list[AttemptRow]:
        """Attempts on devices that were not started, nor will be by what waits in the inbox."""
        starting = {event.attempt for event in self.inbox if isinstance(event, Started)}
        return [r for r in self.attempts("admitted") if r.allocation.devices and r.id not in starting]

    @precondition(lambda self: self.refusable())
    @rule(pick=PICK)
    def refuse_start(self, pick: int) -> None:
        rows = self.refusable()
        row = rows[pick % len(rows)]
        index = int(row.allocation.devices[0].uuid.removeprefix("GPU-"))
        self.emit(StartRefused(row.id, row.epoch, (self._taken(index),), "no longer free"))

    @staticmethod
    def _taken(index: int) -> Any:
        vram = INVENTORY[index].vram_mib
        return seen(index, vram=vram, usable_mib=vram // 2, foreign=(Foreign(pid=9, user="other"),))

    @precondition(lambda self: any(row.state == "ended" for row in self.world.rows.attempts.values()))
    @rule(pick=PICK, kind=st.sampled_from(ENDINGS))
    def stale(self, pick: int, kind: OutcomeKind) -> None:
        """Invariant 6: what a bygone attempt reports changes nothing."""
        self.emit(DrainChanged(self.world.oracle.draining))
        ended = [row for row in self.world.rows.attempts.values() if row.state == "ended"]
        row = ended[pick % len(ended)]
        for event in (Exited(row.id, row.epoch, outcome(kind)), Started(row.id, row.epoch)):
            assert self.world.send(event).changes == ()

    @precondition(lambda self: self.world.rows.tasks)
    @rule(pick=PICK, many=st.integers(1, 3), wish=st.sampled_from(WISHES), priority=st.integers(-1, 2), later=LATER)
    def ask_for(self, pick: int, many: int, wish: str, priority: int, later: bool) -> None:
        """What users ask for, of a few tasks or a group."""
        tasks = self.some_tasks(pick, many)
        group = GROUPS[pick % len(GROUPS)]
        runs = self.some_runs(pick)
        wishes: dict[str, Event] = {
            "cancel": Cancelled(tasks, sources=runs),
            "hold": Held(tasks, runs),
            "release": Released(tuple(self.world.rows.live()), tuple(self.world.rows.sources)),  # type: ignore[arg-type]
            "priority": Reprioritised(tasks, priority, runs),
            "hold group": GroupHeld(group),
            "release group": GroupReleased(group),
        }
        self.emit(wishes[wish], later=later)

    @rule(index=st.integers(0, 3), look=st.sampled_from(LOOKS), later=LATER)
    def look_at_devices(self, index: int, look: str, later: bool) -> None:
        """Foreign processes come and go, devices vanish and return, users vouch for them."""
        others = tuple(device for device in INVENTORY if device.index != index)
        looks: dict[str, Event] = {
            "taken": DevicesSeen((self._taken(index),), complete=False),
            "free": DevicesSeen((INVENTORY[index],), complete=False),
            "lost": DevicesSeen(others),
            "all": DevicesSeen(INVENTORY),
            "vouched": QuarantineReleased(f"GPU-{index}"),
        }
        self.emit(looks[look], later=later)

    @rule(what=st.sampled_from(("drain", "pause", "model", "provider", "tokens")), on=SELDOM, later=LATER)
    def administer(self, what: str, on: bool, later: bool) -> None:
        """Drains, full disks and pools opened by hand."""
        match what:
            case "drain":
                self.emit(DrainChanged(on), later=later)
            case "pause":
                self.emit(PauseChanged(on, "disk full" if on else ""), later=later)
            case _:
                self.emit(PoolOpened(PoolName(what)), later=later)

    @rule(pool=st.sampled_from(DECLARED_AGAIN), later=LATER)
    def declare_again(self, pool: PoolDeclared, later: bool) -> None:
        """Another run knows a pool, too: otherwise, elsewhere, or of a rate not how large it is."""
        self.emit(pool, later=later)

    @rule(millis=st.sampled_from(PAUSES))
    def time_passes(self, millis: int) -> None:
        batch, self.inbox = self.inbox, []
        self.world.send(*batch, seed=len(self.world.batches))
        self.world.advance(millis)

    @rule()
    def restart(self) -> None:
        batch, self.inbox = self.inbox, []
        self.world.send(*batch, seed=len(self.world.batches))
        self.world.restart()

    def teardown(self) -> None:
        """Once all heals and nothing new comes, everything ends, everything is given back, and it can be
        replayed.
        """
        if not self.world.trusted:
            return
        self.inbox.clear()
        self._heal()
        for _ in range(200):
            if not self.world.rows.live() and not self.world.rows.open_attempts():
                break
            self._end_everything()
        assert self.world.rows.live() == [], [self.world.row(task) for task in self.world.rows.live()]
        last = self.world.submit(gpus=4, cpus=16, memory=64 * GIB)
        assert self.world.state(last) == "admitted", "all is gone, but not all is free"
        self.world.replayed()

    def _heal(self) -> None:
        whole = [GroupReleased(group) for group in sorted(set(GROUPS))]
        vouched = [QuarantineReleased(device.uuid) for device in INVENTORY]
        self.world.send(DevicesSeen(INVENTORY), *vouched, *whole, DrainChanged(False), PauseChanged(False))
        self.world.send(*(PoolOpened(PoolName(name)) for name in ("provider", "model", "other", "tokens")))
        rows = self.world.rows
        never = [task for task in rows.live() if rows.specs[task].request.variants == (ask(gpus=6),)]
        gone = tuple(row.run for row in rows.sources.values())
        self.world.send(Released(tuple(rows.live()), gone), Cancelled(tuple(never), sources=gone))

    def _end_everything(self) -> None:
        """Every open attempt ends well and every stray goes; if nothing is open, time passes to the next
        wake-up.
        """
        rows = self.world.rows.open_attempts()
        if rows:
            ends: list[Event] = [
                StrayGone(row.id, row.epoch) if row.state == "stray" else Exited(row.id, row.epoch, outcome("success"))
                for row in rows
            ]
            self.world.send(*ends)
            return
        wake_at = self.world.wake_at
        assert wake_at is not None, f"stranded: {[self.world.row(task) for task in self.world.rows.live()]}"
        self.world.advance(max(0, wake_at - self.world.now))
