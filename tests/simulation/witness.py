"""What one home's store was given, batch by batch, and the promises held against it. It asks the machine nothing.

It sees each commit after it is durable. It knows what clients were told, what was launched and how it really went, and
says so at once when the record does not agree: a final state that changed, a second attempt beside a live one, an
attempt called lost or timed out that was not, more drawn on a pool than it has, a start on a pool that cools or on a
device that was seen not to be free.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable

from passloop.kernel.changes import (
    AttemptChanged,
    DurationLearned,
    PoolChanged,
    SourceAdded,
    SourceChanged,
    TaskAdded,
    TaskChanged,
    UnitChanged,
)
from passloop.kernel.events import (
    DeviceSeen,
    DevicesSeen,
    Event,
    Exited,
    GroupHeld,
    GroupReleased,
    PoolOpened,
    QuarantineReleased,
    Released,
    StartRefused,
)
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.pools import RATE_WINDOW
from passloop.kernel.tasks import FINAL_STATES, AttemptRow, OutcomeKind, TaskRow, TaskState
from passloop.store.database import Batch, Store

from .endpoints import POOLS
from .processes import Processes
from .source_witness import SourceWitness

__all__ = ["Witness"]

CAPACITIES = {str(pool.name): pool for pool in POOLS}
SOON = 1_500
"""The longest grace, and some more, in ms."""
BEHIND_MOST, IDLE_MOST = 1_000, 300_000
"""How long (ms) somebody may wait behind a task of a worker, and a worker for somebody."""
RESCUES = (OutcomeKind.LOST, OutcomeKind.TIMEOUT)


class Witness:
    """One home's record. `events` counts what the machine was told, `acknowledged` are tasks that clients know of."""

    def __init__(self, processes: Processes) -> None:
        self.events = 0
        self.batches = 0
        self.now = 0
        self.kinds: Counter[str] = Counter()
        self.acknowledged: set[TaskId] = set()
        self.rows: dict[int, TaskRow] = {}
        self.attempts: dict[AttemptId, AttemptRow] = {}
        self.outcomes: Counter[str] = Counter()
        self.must_cancel: set[TaskId] = set()
        self.sources = SourceWitness()
        self._ran: set[int] = set()
        self._stopping: dict[AttemptId, int] = {}
        self._given: dict[AttemptId, int] = {}
        self._processes = processes
        self._live: dict[int, AttemptId] = {}
        self._draws: deque[list[int]] = deque()
        self._latest: dict[int, list[int]] = {}
        self._gates: dict[str, tuple[str, int | None]] = {}
        self._devices: set[str] = set()
        self._held_groups: set[str] = set()
        self._unfit: set[str] = set()

    def take(self, batch: Batch) -> None:
        """A batch is durable."""
        assert batch.now >= self.now, f"engine time went back from {self.now} to {batch.now}"
        self.now = batch.now
        self.batches += 1
        self.events += len(batch.events)
        opened = set()
        for event in batch.events:
            self.kinds[type(event).__name__] += 1
            if isinstance(event, PoolOpened):
                opened.add(str(event.name))
            elif isinstance(event, DevicesSeen):
                self._look(event.devices, complete=event.complete)
            elif isinstance(event, StartRefused):
                self._look(event.seen, complete=False)
            elif isinstance(event, QuarantineReleased):
                self._unfit.discard(event.uuid)
        self._know_runs(batch.events)
        held = self._know_groups(batch.events)
        learned: list[int] = []
        attempts: list[AttemptRow] = []
        pools: list[PoolChanged] = []
        for change in batch.changes:
            if isinstance(change, TaskAdded | TaskChanged):
                self._task(change.row)
                free = isinstance(change, TaskAdded) and not change.row.held and change.row.state not in FINAL_STATES
                assert not (free and change.row.group in held), f"{change.row} is new, not held, and its group is"
                if isinstance(change, TaskAdded) and change.cell is not None:
                    self.sources.add_task(change.row, change.cell)
            elif isinstance(change, AttemptChanged):
                attempts.append(change.row)
            elif isinstance(change, PoolChanged):
                pools.append(change)
            elif isinstance(change, DurationLearned):
                learned.append(change.millis)
            elif isinstance(change, SourceAdded | SourceChanged | UnitChanged):
                self.sources.take(change)
        pools = [pool for pool in pools if pool.name in CAPACITIES and pool.kind == "limit"]
        opened.update(pool.name for pool in pools if _gate_of(pool)[0] == "open")
        assert set(learned) <= self._ran, f"learned that runs took {learned} ms, none did"
        self._attempts(attempts, opened)
        self._pools(pools)
        self.sources.check(batch.events, self.rows)

    def _know_groups(self, events: Iterable[Event]) -> set[str]:
        """The groups that were held all the while, unless anything was let go in between."""
        before, lets_go = set(self._held_groups), False
        for event in events:
            if isinstance(event, GroupHeld):
                self._held_groups.add(event.group)
            elif isinstance(event, GroupReleased):
                self._held_groups.discard(event.group)
            lets_go = lets_go or isinstance(event, Released | GroupReleased)
        return set() if lets_go else before

    def _look(self, seen: Iterable[DeviceSeen], *, complete: bool) -> None:
        """The engine was told what is on these devices, by a look or by a start that was refused."""
        if complete:
            self._unfit = set(self._devices)
        for device in seen:
            self._devices.add(device.uuid)
            self._unfit.discard(device.uuid)
            if device.foreign or device.strays or device.fault:
                self._unfit.add(device.uuid)

    def _know_runs(self, events: Iterable[Event]) -> None:
        """How long those took that ended in this batch, whatever clocks did meanwhile."""
        acts = (self._processes.act(event.attempt) for event in events if isinstance(event, Exited))
        self._ran = {act.ends_at - act.starts_at for act in acts if act is not None and act.ends_at is not None}

    def unfinished(self) -> list[TaskId]:
        """Tasks that are not final."""
        return [TaskId(task) for task, row in self.rows.items() if row.state not in FINAL_STATES]

    def check_live(self, calm_since: int) -> None:
        """What was to stop is over soon after, and what is over is soon on record: by an engine that has been there,
        and able to write, since `calm_since` (ms).
        """
        processes, now = self._processes, self._processes.clock.now()
        for attempt, since in self._stopping.items():
            late = max(since, calm_since) + SOON < now and attempt not in processes.workers.too_late
            runs = processes.is_live(attempt) and not processes.was_turned_away(attempt)
            assert not (late and runs), f"attempt {attempt} was to stop and runs on"
        for attempt, row in self.attempts.items():
            act = processes.act(attempt)
            if act is not None and act.ends_at is not None and row.state != "stray":
                late = max(act.ends_at, row.admitted_at, calm_since) + SOON < now
                assert not late, f"attempt {attempt} is over and still {row.state}"
        self._check_workers(calm_since, now)

    def _check_workers(self, calm_since: int, now: int) -> None:
        """Nobody waits behind a worker's task for long, for another may be free sooner; none is idle for long."""
        for worker in self._processes.workers.by_id.values():
            for attempt in worker.line[1:]:
                given = self._given.get(attempt) if self.attempts[attempt].state == "admitted" else None
                late = given is not None and max(given, calm_since) + BEHIND_MOST + SOON < now
                assert not late, f"attempt {attempt} waits behind {worker.line[0]} since {given} and is not called back"
            idle = not worker.line and worker.gone_at is None
            late = idle and max(worker.free_at, calm_since) + IDLE_MOST + SOON < now
            assert not late, f"worker {worker.id} is idle since {worker.free_at} and is not told to end"

    def check_store(self, store: Store) -> None:
        """The store holds what was committed, and all that was acknowledged."""
        states = store.states_of(self.rows)
        assert self.acknowledged <= states.keys(), f"lost: {sorted(self.acknowledged - states.keys())}"
        wrong = {task: (row.state, states.get(TaskId(task))) for task, row in self.rows.items()}
        wrong = {task: pair for task, pair in wrong.items() if pair[0] != pair[1]}
        assert not wrong, f"committed and stored differ: {wrong}"
        self.sources.check_store(store)

    def _task(self, row: TaskRow) -> None:
        old = self.rows.get(row.id)
        if old is not None and old.state in FINAL_STATES:
            assert row.state is old.state, f"task {row.id} was {old.state} and is {row.state}"
        assert old is None or old.attempts <= row.attempts, f"task {row.id} has fewer attempts than before"
        if row.id in self.must_cancel and row.state in FINAL_STATES:
            assert row.state is TaskState.CANCELLED, f"cancelled task {row.id} is {row.state}"
        self.rows[row.id] = row

    def _attempts(self, rows: Iterable[AttemptRow], opened: set[str]) -> None:
        """Ends first: one batch may end an attempt of a task and admit its next."""
        rows = list(rows)
        for row in rows:
            old = self.attempts.get(row.id)
            if row.outcome is not None and (old is None or old.outcome is None):
                self._ended(row)
            if row.state == "ended":
                if self._live.get(row.task) == row.id:
                    del self._live[row.task]
                self.attempts.pop(row.id, None)
                self._processes.forget(row.id)
                self._stopping.pop(row.id, None)
                self._given.pop(row.id, None)
            elif row.state == "stopping":
                self._stopping.setdefault(row.id, self._processes.clock.now())
            else:
                self._stopping.pop(row.id, None)
        for row in rows:
            if row.state != "ended":
                if row.id not in self.attempts:
                    self._admitted(row, opened)
                    self._given[row.id] = self._processes.clock.now()
                self.attempts[row.id] = row

    def _ended(self, row: AttemptRow) -> None:
        """How it ended is how it really went."""
        assert row.outcome is not None
        kind = row.outcome.kind
        self.outcomes[kind.value] += 1
        truth = self._processes.truth(row.id)
        if kind in RESCUES and truth is not None:
            assert truth is kind, f"attempt {row.id} is called {kind}; it was {truth}"
            live = self._processes.is_live(row.id)
            assert not live, f"attempt {row.id} is called {kind} while it lives"
        draw = self._latest.pop(row.id, None)
        for _tokens, used in row.outcome.used:
            if draw is not None:
                draw[1] = used

    def _admitted(self, row: AttemptRow, opened: set[str]) -> None:
        other = self._live.get(row.task)
        assert other is None, f"attempt {row.id} of task {row.task} is admitted beside {other}"
        self._live[row.task] = row.id
        unfit = [grant.uuid for grant in row.allocation.devices if grant.uuid in self._unfit]
        assert not unfit, f"attempt {row.id} is given {unfit}, which it was told are not free"
        for name, amount in row.allocation.amounts:
            pool = CAPACITIES.get(name)
            if pool is None:
                continue
            if pool.kind == "rate":
                self._draw(row, amount, pool.capacity)
                continue
            gate, until = self._gates.get(name, ("open", None))
            cools = gate == "cooling" and until is not None and until > self.now and name not in opened
            assert not cools, f"attempt {row.id} calls {name}, which cools until {until}; it is {self.now}"
            held = sum(dict(one.allocation.amounts).get(name, 0) for one in self.attempts.values())
            assert held + amount <= pool.capacity, f"{name} of {pool.capacity} is given {held} and {amount}"

    def _draw(self, row: AttemptRow, amount: int, rate: int) -> None:
        while self._draws and self._draws[0][0] + RATE_WINDOW <= self.now:
            self._draws.popleft()
        drawn = sum(draw[1] for draw in self._draws)
        assert drawn + amount <= rate, f"attempt {row.id} draws {amount} where {drawn} of {rate} a minute are drawn"
        draw = [self.now, amount]
        self._draws.append(draw)
        self._latest[row.id] = draw

    def _pools(self, changes: Iterable[PoolChanged]) -> None:
        for change in changes:
            self._gates[change.name] = _gate_of(change)


def _gate_of(change: PoolChanged) -> tuple[str, int | None]:
    """A pool's gate, and until when it cools."""
    closure = json.loads(change.state).get("closure", {})
    return closure.get("gate", "open"), closure.get("until")
