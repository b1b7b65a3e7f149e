"""Scenario builders: a `World` around one machine and a fake clock that makes a kernel scenario one line.

It plays the engine: hands batches to the machine, keeps the rows that changed, starts what it is told to
start and checks the kernel's invariants after every turn. It owns no rule of the kernel and never looks
inside the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from passloop.kernel import invariants
from passloop.kernel.amounts import CPU_UNIT, SHARE_WHOLE
from passloop.kernel.changes import Answer, Refusal, SubmitAnswer, Turn
from passloop.kernel.events import (
    Cancelled,
    DeviceSeen,
    DevicesSeen,
    Event,
    Exited,
    Foreign,
    GroupHeld,
    GroupReleased,
    Held,
    Parked,
    PoolDeclared,
    PoolKind,
    QuarantineReleased,
    Released,
    Reprioritised,
    Started,
    StartRefused,
    StrayGone,
    Submitted,
    WorkerGone,
)
from passloop.kernel.ids import AttemptId, PoolName, TaskId
from passloop.kernel.instructions import Evict, Start, Stop, WatchDevices
from passloop.kernel.machine import Machine
from passloop.kernel.resources import CPU, MEMORY, DeviceAsk, Request, Variant
from passloop.kernel.tasks import (
    Dependency,
    NewTask,
    Outcome,
    OutcomeKind,
    TaskRow,
    TaskSpec,
    TaskState,
)

from .rows import Rows

__all__ = ["GIB", "HOUR", "MINUTE", "SECOND", "World", "ask", "outcome", "seen", "spec_of"]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
GIB = 1_024
START = 1_000_000
VRAM = 80 * GIB


def ask(
    *,
    gpus: int = 0,
    share: float = 0,
    vram: int | None = None,
    cpus: float = 0,
    memory: int = 0,
    balance: bool = False,
    exclusive: bool = False,
    **needs: int,
) -> Variant:
    """A variant in human units: whole GPUs or one share of one, CPUs, memory and VRAM in MiB, other pools as
    they are.
    """
    amounts = {CPU: round(cpus * CPU_UNIT), MEMORY: memory} | {PoolName(k): v for k, v in needs.items()}
    devices = None
    if gpus or share:
        devices = DeviceAsk(count=gpus, share=round(share * SHARE_WHOLE), vram_mib=vram, balance=balance)
    return Variant(
        devices=devices,
        amounts=tuple(sorted((name, amount) for name, amount in amounts.items() if amount)),
        exclusive=exclusive,
    )


def spec_of(*variants: Variant, limit: int | None = None, grace: int = 0, **rest: Any) -> TaskSpec:
    """A spec with these variants in order of preference; `limit` and `grace` in ms."""
    return TaskSpec(request=Request(variants), time_limit=limit, grace=grace, **rest)


def seen(index: int, *, vram: int = VRAM, **rest: Any) -> DeviceSeen:
    """A healthy device as the inventory sees it; `usable_mib` is all of it unless said."""
    values = {"usable_mib": vram, "uuid": f"GPU-{index}", "name": "Virtual"} | rest
    return DeviceSeen(index=index, vram_mib=vram, **values)


def outcome(kind: str | OutcomeKind, **rest: Any) -> Outcome:
    """An outcome by the name of its kind."""
    kind = OutcomeKind(kind)
    rest.setdefault("exit_code", 0 if kind is OutcomeKind.SUCCESS else None)
    return Outcome(kind=kind, **rest)


class World:
    """One machine, its devices and pools, and everything that happened to it.

    `starts` and `ends` list (engine time in ms, task) in order; `auto_start` reports each start at once, as a
    healthy driver does. `batches` is what was handled, for replays: (events, now, seed).
    """

    def __init__(
        self,
        *,
        gpus: int | Sequence[DeviceSeen] = 8,
        cpus: int = 64,
        memory: int = 512 * GIB,
        settings: Any = None,
        auto_start: bool = True,
        check: bool = True,
    ) -> None:
        self.settings = settings
        self.machine = Machine(settings) if settings is not None else Machine()
        self.rows = Rows()
        self.now = START
        self.auto_start = auto_start
        self.check = check
        self.starts: list[tuple[int, TaskId]] = []
        self.ends: list[tuple[int, TaskId]] = []
        self.orders: list[object] = []
        self.batches: list[tuple[tuple[Event, ...], int, int]] = []
        self.turns: list[Turn] = []
        self.wake_at: int | None = None
        self.inventory = [seen(i) for i in range(gpus)] if isinstance(gpus, int) else list(gpus)
        self.send(
            PoolDeclared(CPU, PoolKind.AMOUNT, cpus * CPU_UNIT),
            PoolDeclared(MEMORY, PoolKind.AMOUNT, memory),
            DevicesSeen(tuple(self.inventory)),
        )

    def send(self, *events: Event, seed: int = 0) -> Turn:
        """Hand one batch to the machine, keep what changed and, with `auto_start`, report what was
        started."""
        turn = self._handle(events, seed)
        result = turn
        while self.auto_start and (started := self._reports(turn)):
            turn = self._handle(started, seed)
        return result

    def _handle(self, events: Sequence[Event], seed: int) -> Turn:
        self.batches.append((tuple(events), self.now, seed))
        turn = self.machine.handle(tuple(events), self.now, seed)
        self.turns.append(turn)
        self.rows.keep(turn.changes, self.now)
        self.orders.extend(turn.instructions)
        self.starts.extend((self.now, order.task) for order in turn.instructions if isinstance(order, Start))
        self.wake_at = turn.wake_at
        if self.check:
            invariants.check(self.machine, self.now)
        return turn

    def _reports(self, turn: Turn) -> list[Event]:
        return [Started(order.attempt, order.epoch) for order in turn.instructions if isinstance(order, Start)]

    def submit(self, *variants: Variant, n: int = 1, **words: Any) -> TaskId:
        """Submit one task (or `n`, in one run) and give back its id (the first one); see `submit_many`."""
        return self.submit_many(*variants, n=n, **words)[0]

    def submit_many(
        self,
        *variants: Variant,
        n: int = 1,
        ranks: Sequence[int] | None = None,
        keys: Sequence[str] | None = None,
        after: Sequence[TaskId] = (),
        after_any: Sequence[TaskId] = (),
        held: bool = False,
        **words: Any,
    ) -> tuple[TaskId, ...]:
        """Submit `n` equal tasks as one run and give back their ids.

        Without variants the words of `ask` make the one there is. `limit`, `grace`, `patience`, `retries`
        and the like go to the spec; `group`, `priority`, `run`, `refuse_impossible` to the submission.
        """
        submission = {k: words.pop(k) for k in ("name", "group", "priority", "run", "refuse_impossible") if k in words}
        spec = _spec_from(variants, words)
        waits = tuple(Dependency(t) for t in after) + tuple(Dependency(t, any_end=True) for t in after_any)
        tasks = tuple(
            NewTask(
                spec=spec,
                index=index,
                rank=ranks[index] if ranks else 0,
                key=keys[index] if keys else None,
                after=waits,
                held=held,
            )
            for index in range(n)
        )
        answer = self.offer(tasks, **submission)
        assert isinstance(answer, SubmitAnswer), answer
        return answer.tasks

    def offer(self, tasks: Sequence[NewTask], *, name: str = "run", **submission: Any) -> Answer:
        """Submit exactly these tasks and give back the answer, whatever it is."""
        named = [dependency for task in tasks for dependency in task.after]
        keys = [task.key for task in tasks if task.key is not None]
        event = Submitted(
            name=name,
            tasks=tuple(tasks),
            known=self.rows.known_for(named),
            known_keys=self.rows.known_keys_for(keys),
            **submission,
        )
        return self.send(event).answers[0]

    def refusal(self, *variants: Variant, **words: Any) -> Refusal:
        """Submit one task that must be refused, and give back the refusal."""
        answer = self.offer([NewTask(spec=_spec_from(variants, words))])
        assert isinstance(answer, Refusal), answer
        return answer

    def end(self, task: TaskId, how: str | OutcomeKind = OutcomeKind.SUCCESS, **rest: Any) -> Turn:
        """The task's open attempt ends so, its whole tree gone."""
        return self.send(self.exit_of(task, how, **rest))

    def exit_of(self, task: TaskId, how: str | OutcomeKind, *, stray: bool = False, **rest: Any) -> Exited:
        """The event with which the task's open attempt ends."""
        attempt = self.rows.attempt_of(task)
        self.ends.append((self.now, task))
        return Exited(attempt.id, attempt.epoch, outcome(how, **rest), stray=stray)

    def park(self, *tasks: TaskId, how: str | OutcomeKind = OutcomeKind.SUCCESS, **rest: Any) -> Turn:
        """The open attempts of these tasks end so, and their workers live on."""
        return self.send(*(self.parking(task, how, **rest) for task in tasks))

    def parking(self, task: TaskId, how: str | OutcomeKind = OutcomeKind.SUCCESS, **rest: Any) -> Exited:
        """The event with which the task's open attempt ends and leaves its worker parked."""
        attempt = self.rows.attempt_of(task)
        self.ends.append((self.now, task))
        memory = dict(attempt.allocation.amounts).get(MEMORY, 0)
        parked = Parked(AttemptId(self.rows.worker_of(attempt.id).id), attempt.allocation.devices, memory)
        return Exited(attempt.id, attempt.epoch, outcome(how, **rest), parked=parked)

    def worker_gone(self, worker: int) -> Turn:
        """A worker that lay is proven gone."""
        return self.send(WorkerGone(AttemptId(worker)))

    @property
    def evicted(self) -> list[int]:
        """The workers that drivers were told to end, in order."""
        return [order.worker for order in self.orders if isinstance(order, Evict)]

    def started_on(self, task: TaskId) -> int | None:
        """The parked or busy worker on which the task was last started; None = on one of its own, or not at all."""
        orders = [order for order in self.orders if isinstance(order, Start) and order.task == task]
        return orders[-1].worker if orders else None

    def finish(self, *tasks: TaskId) -> Turn:
        """These running tasks succeed, together."""
        return self.send(*(self.exit_of(task, OutcomeKind.SUCCESS) for task in tasks))

    def refuse_start(self, task: TaskId, *devices: DeviceSeen) -> Turn:
        """The driver looked once more and did not start the task's attempt."""
        attempt = self.rows.attempt_of(task)
        return self.send(StartRefused(attempt.id, attempt.epoch, devices, "device is no longer free"))

    def cancel(self, *tasks: TaskId) -> Turn:
        """A user cancels tasks."""
        return self.send(Cancelled(tuple(tasks)))

    def hold(self, *tasks: TaskId) -> Turn:
        """A user holds tasks."""
        return self.send(Held(tuple(tasks)))

    def release(self, *tasks: TaskId) -> Turn:
        """A user releases held tasks."""
        return self.send(Released(tuple(tasks)))

    def hold_group(self, group: str) -> Turn:
        """A user holds a group."""
        return self.send(GroupHeld(group))

    def release_group(self, group: str) -> Turn:
        """A user releases a group."""
        return self.send(GroupReleased(group))

    def prioritise(self, task: TaskId, priority: int) -> Turn:
        """A user gives a task another priority."""
        return self.send(Reprioritised((task,), priority))

    def declare(self, name: str, kind: PoolKind, capacity: int, parent: str | None = None) -> Turn:
        """A pool comes to be."""
        above = PoolName(parent) if parent is not None else None
        return self.send(PoolDeclared(PoolName(name), kind, capacity, parent=above))

    def vouch(self, uuid: str) -> Turn:
        """A user vouches for a device."""
        return self.send(QuarantineReleased(uuid))

    def see(self, *devices: DeviceSeen) -> Turn:
        """A look at exactly these devices; those of the pool not named are lost."""
        return self.send(DevicesSeen(devices))

    def foreign(self, index: int, *, pid: int = 4_242, vram: int = 1_000) -> Turn:
        """Somebody else's compute process appears on a device."""
        return self.send(DevicesSeen((self.taken(index, pid=pid, vram=vram),), complete=False))

    def taken(self, index: int, *, pid: int = 4_242, vram: int = 1_000) -> DeviceSeen:
        """What is seen of a device that somebody else computes on."""
        stranger = Foreign(pid=pid, user="other", name="python", vram_mib=vram)
        total = self.inventory[index].vram_mib
        return seen(index, vram=total, usable_mib=total - vram, foreign=(stranger,))

    def gone(self, index: int) -> Turn:
        """That process is gone again."""
        return self.send(DevicesSeen((self.inventory[index],), complete=False))

    def stray_gone(self, attempt: AttemptId, epoch: int) -> Turn:
        """What was left of an ended attempt is gone."""
        return self.send(StrayGone(attempt, epoch))

    def chosen(self) -> str:
        """The device that a task for one whole GPU gets now."""
        return self.devices_of(self.submit(gpus=1))[0]

    def advance(self, millis: int) -> None:
        """Let time pass and wake the machine whenever it asked to be woken."""
        until = self.now + millis
        while self.wake_at is not None and self.wake_at <= until:
            woken_at = self.wake_at
            self.now = max(self.now, woken_at)
            self.send()
            assert self.wake_at is None or self.wake_at > woken_at, "asks to be woken at the same time again"
        self.now = until

    def restart(self) -> Turn:
        """Throw the machine away, rebuild it from the rows and let it make its first turn."""
        self.machine = self.restored()
        return self.send()

    def restored(self) -> Machine:
        """Another machine, made from the rows alone."""
        saved = self.rows.saved()
        return Machine.restore(saved, self.settings) if self.settings is not None else Machine.restore(saved)

    def row(self, task: TaskId) -> TaskRow:
        """The task as stored."""
        return self.rows.tasks[task]

    def state(self, task: TaskId) -> TaskState:
        """The task's state as stored."""
        return self.rows.state(task)

    @property
    def running(self) -> list[TaskId]:
        """Tasks with an open attempt, by id."""
        return self.rows.in_state(TaskState.ADMITTED, TaskState.RUNNING, TaskState.STOPPING)

    @property
    def ready(self) -> list[TaskId]:
        """Tasks that could start, by id."""
        return self.rows.in_state(TaskState.READY)

    @property
    def started(self) -> list[TaskId]:
        """Tasks in the order in which they were started, once for each attempt."""
        return [task for _, task in self.starts]

    @property
    def watched(self) -> tuple[str, ...]:
        """The devices that somebody waits for and the engine was last told to look at."""
        told = [order.uuids for order in self.orders if isinstance(order, WatchDevices)]
        return told[-1] if told else ()

    def stopped(self, task: TaskId) -> bool:
        """Whether the driver was told to stop an attempt of this task."""
        attempts = {row.id for row in self.rows.attempts.values() if row.task == task}
        return any(isinstance(order, Stop) and order.attempt in attempts for order in self.orders)

    def started_at(self, task: TaskId) -> int | None:
        """When the task was first started, in ms of engine time; None if never."""
        return next((when for when, started in self.starts if started == task), None)

    def devices_of(self, task: TaskId) -> tuple[str, ...]:
        """UUIDs granted to the task's open attempt."""
        return tuple(grant.uuid for grant in self.rows.attempt_of(task).allocation.devices)

    def attempt(self, task: TaskId) -> AttemptId:
        """The id of the task's open attempt."""
        return self.rows.attempt_of(task).id

    def why(self, task: TaskId) -> list[str]:
        """Codes of the task's blockers, in the order in which they are told."""
        return [blocker.code for blocker in self.machine.explain(task, self.now)]

    def reserved(self, task: TaskId) -> bool:
        """Whether the task holds a reservation."""
        return self.row(task).reservation is not None


def _spec_from(variants: Iterable[Variant], words: dict[str, Any]) -> TaskSpec:
    of_spec = {
        "alike",
        "limit",
        "grace",
        "driver",
        "on_dead",
        "warm_key",
        "patience",
        "deadline",
        "wait_for_capacity",
        "task_class",
        "program",
        "retries",
    }
    mine = {name: words.pop(name) for name in list(words) if name in of_spec}
    chosen = tuple(variants) or (ask(**words),)
    return spec_of(*chosen, **mine)
