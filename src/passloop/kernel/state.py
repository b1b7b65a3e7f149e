"""The machine's state: tasks, attempts, pools, groups, and what this turn touched. No rule lives here.

`touch` marks are how a turn collects its changes: each touched record is written once, as it is at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from .changes import Change
from .device_pool import DEFAULT_WEIGHTS, DevicePool, Weights
from .durations import Durations
from .events import DeviceSeen, PoolKind
from .ids import AttemptId, PoolName
from .instructions import Instruction
from .lessons import Lessons
from .node import Node
from .pools import NO_RATE, AmountPool, LimitPool, RatePool, ScalarPool, lineage
from .ready_queue import ReadyQueue
from .records import Attempt, Group, Shape, ShapeVariant, Task
from .resources import GPU, NODE, DeviceAsk, Variant
from .rivals import Rivals
from .source_records import Source, Unit
from .source_rows import Cell
from .tasks import CALLS, Dependency, TaskSpec
from .wakeups import WakeUps
from .workers import Workers

__all__ = ["DEFAULT_POLICY", "KernelSettings", "PoolPolicy", "State"]

_POOL_TYPES = {PoolKind.AMOUNT: AmountPool, PoolKind.LIMIT: LimitPool, PoolKind.RATE: RatePool}


@dataclass(frozen=True, slots=True)
class KernelSettings:
    """What a user may set of the kernel. Spans in ms."""

    weights: Weights = DEFAULT_WEIGHTS
    patience_unlearned: int = 3_600_000
    patience_most: int = 8 * 3_600_000


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """What to do about a dead pool: "wait", "fail" or "end"; `dead_after` in ms."""

    dead_after: int = 120_000
    on_dead: str = "wait"


DEFAULT_POLICY = PoolPolicy()


@dataclass(slots=True)
class Touched:
    """Records that became different in this turn, in the order they were first touched.

    `doomed` are runs that end as a whole before the turn is over, with the reason.
    """

    added: list[Change] = field(default_factory=list)
    fresh: dict[int, tuple[TaskSpec, str, tuple[Dependency, ...], Cell | None]] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    pools: dict[str, None] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    declared: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    sources: dict[int, Source] = field(default_factory=dict)
    units: dict[tuple[int, int], Unit] = field(default_factory=dict)
    facts: list[Change] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    doomed: dict[int, str] = field(default_factory=dict)
    admission: bool = False


class State:
    """Everything the machine knows. Mutable, and mutated only inside one `handle`."""

    def __init__(self, settings: KernelSettings) -> None:
        self.settings = settings
        self.now = 0
        self.seed = 0
        self.next_run = self.next_task = self.next_attempt = 1
        self.draining = False
        self.paused = ""
        self.tasks: dict[int, Task] = {}
        self.keys: dict[str, int] = {}
        self.dependents: dict[int, list[int]] = {}
        self.attempts: dict[AttemptId, Attempt] = {}
        self.groups: dict[str, Group] = {}
        self.busy: dict[str, Group] = {}
        self.furthest = 0
        self.sources: dict[int, Source] = {}
        self.devices = DevicePool(0, settings.weights)
        self.node = Node(1)
        self.pools: dict[str, ScalarPool] = {}
        self.policies: dict[str, PoolPolicy] = {}
        self._bits = 2
        self.shapes: dict[TaskSpec, Shape] = {}
        self._asks: dict[DeviceAsk, DeviceAsk] = {}
        self.exclusive_shapes: list[Shape] = []
        self.queue = ReadyQueue()
        self.reserved: list[Task] = []
        self.durations = Durations()
        self.lessons = Lessons()
        self.wakeups = WakeUps()
        self.workers = Workers()
        self.watched: tuple[str, ...] = ()
        self.turn = Touched()
        self.final: list[Task] = []
        self.over: list[Source] = []

    def begin_turn(self) -> None:
        """Forget what the last turn touched."""
        self.turn = Touched()

    def touch(self, task: Task) -> None:
        """This task's row is written at the end of the turn."""
        self.turn.tasks[task.id] = task

    def touch_attempt(self, attempt: Attempt) -> None:
        """This attempt's row is written at the end of the turn."""
        self.turn.attempts[attempt.id] = attempt

    def touch_pool(self, name: str) -> None:
        """This pool's state is written at the end of the turn."""
        self.turn.pools[name] = None

    def touch_group(self, group: Group) -> None:
        """This group's row is written at the end of the turn."""
        self.turn.groups[group.name] = group

    def touch_source(self, source: Source) -> None:
        """This source's row is written at the end of the turn."""
        self.turn.sources[source.run] = source

    def touch_unit(self, unit: Unit) -> None:
        """This unit's row is written at the end of the turn."""
        self.turn.units[unit.source.run, unit.number] = unit

    def stir(self) -> None:
        """Something changed that admission depends on."""
        self.turn.admission = True

    def group(self, name: str) -> Group:
        """The group of this name. One with a / in it is inside the group that is named before that."""
        group = self.groups.get(name)
        if group is None:
            outer, _, inner = name.rpartition("/")
            if outer and not inner:
                return self._part(self.group(outer))
            group = self.groups[name] = Group(name, self.group(outer) if outer else None)
            if group.parent is not None:
                self.touch_group(group)
                self._part(group.parent)
        return group

    def _part(self, group: Group) -> Group:
        """There are groups inside this one: its own tasks share with them, as a group with a name of no user's.

        It was charged what these are, and that will be corrected when they end.
        """
        if group.path is group.chain:
            own = self.groups[f"{group.name}/"] = Group(f"{group.name}/", group)
            own.work = group.work
            charged = [attempt.charged for attempt in self.attempts.values() if attempt.group is group]
            own.virtual_time = own.pending = sum(charged)
            if own.work:
                group.busy[own.name] = own
            group.path = (*group.chain, own)
            self.touch_group(own)
        return group.path[-1]

    def pool(self, name: str) -> ScalarPool:
        """The pool of this name; one that nobody declared is there with nothing in it."""
        pool = self.pools.get(name)
        if pool is None:
            pool = self.pools[name] = AmountPool(PoolName(name), self._bits, 0)
            self._bits += 1
        return pool

    def declare_pool(self, name: PoolName, kind: PoolKind, capacity: int, parent: PoolName | None) -> ScalarPool:
        """Make or resize a pool; a change of kind or parent recompiles the shapes, and a rate that becomes known.

        Of the same kind it stays the same pool wherever it is put: what it was told, and what is drawn, goes on.
        """
        above = self.pool(parent) if parent is not None else None
        pool = self.pools.get(name)
        if pool is not None and pool.kind is kind:
            self._resize(pool, capacity, above)
            return pool
        bit = pool.bit if pool is not None else self._bits
        if pool is None:
            self._bits += 1
        fresh = _POOL_TYPES[kind](name, bit, capacity, above)
        if pool is not None:
            fresh.used, fresh.holders = pool.used, pool.holders
            for child in self.pools.values():
                if child.parent is pool:
                    child.parent = fresh
        self.pools[name] = fresh
        self._recompile()
        return fresh

    def _resize(self, pool: ScalarPool, capacity: int, above: ScalarPool | None) -> None:
        """A pool has this capacity and parent now. A rate that is known stays so: somebody else may not know it yet."""
        was_known = isinstance(pool, RatePool) and pool.is_known
        if was_known and capacity >= NO_RATE:
            capacity = pool.capacity
        if pool.closure is not None and pool.closure.limit == pool.capacity:
            pool.closure.limit = capacity  # it was never lowered, so it goes with the capacity
        pool.capacity = capacity
        is_moved, pool.parent = pool.parent is not above, above
        if is_moved or (isinstance(pool, RatePool) and pool.is_known is not was_known):
            self._recompile()

    def see(self, seen: Iterable[DeviceSeen], *, complete: bool) -> None:
        """Take in a look at devices; with `complete`, those not seen are lost. Who waits is tried if it changed any."""
        before = {d.uuid: (d.state, d.usable, d.vram) for d in self.devices.devices.values()}
        self.devices.observe(seen, complete=complete)
        after = {d.uuid: (d.state, d.usable, d.vram) for d in self.devices.devices.values()}
        self.touch_pool(self.devices.name)
        if before != after:
            self.stir()

    def shape(self, spec: TaskSpec) -> Shape:
        """The interned shape of a spec."""
        shape = self.shapes.get(spec)
        if shape is None:
            shape = self.shapes[spec] = Shape(spec, self._compile(spec), self.durations.forecast(spec))
            if shape.exclusive:
                self.exclusive_shapes.append(shape)
        return shape

    def node_in_play(self) -> bool:
        """Whether anybody is, or could ask to be, alone on the node."""
        return bool(self.node.exclusive) or any(shape.exclusive for shape in self.exclusive_shapes)

    def enqueue(self, task: Task) -> None:
        """A task became ready: it goes to its place."""
        self.gain_work(task.group, asker=task)
        self.queue.push(task)
        if task.cell is not None:
            task.cell.node.ready += 1
        self.stir()

    def gain_work(self, group: Group, *, asker: Task | None) -> None:
        """A group has one more ready task, the `asker`. If it had none, it, and each around it, starts where those
        beside it are that wait for the same; not so after a restart, when nobody asks."""
        for each in group.path:
            each.work += 1
            if each.work > 1:
                continue
            beside = self.busy if each.parent is None else each.parent.busy
            if asker is not None and (start := self._start_of(each, beside, asker)) > each.virtual_time:
                each.virtual_time = start
                self.touch_group(each)
            beside[each.name] = each

    def _start_of(self, group: Group, beside: Mapping[str, Group], asker: Task) -> int:
        """Where a group starts that begins to wait: at the least of those beside it that wait for what it asks; where
        nobody does, at the most of all, so that what they took while nobody wanted it is held against none of them.

        What is charged for live attempts is no part of it, since that is a guess (Goyal et al. 1996, start-time fair
        queueing). Who only runs something does not count, or a long run of it would save up time; nor who waits for
        something else, as for a GPU that is gone or an endpoint that is slow.
        """
        rivals = Rivals(self.queue, self.reserved, self.devices, asker, self.now)
        for other in sorted(beside.values(), key=attrgetter("settled")):
            if rivals.has(other):
                return other.settled
        return self.furthest if group.parent is None else group.parent.furthest

    def note_settled(self, group: Group) -> None:
        """A group took something, or was restored: whoever begins to wait beside it may start where it is."""
        around = self if group.parent is None else group.parent
        around.furthest = max(around.furthest, group.settled)

    def lose_work(self, group: Group) -> None:
        """A group has one ready task less."""
        for each in group.path:
            each.work -= 1
            if not each.work:
                del (self.busy if each.parent is None else each.parent.busy)[each.name]

    def dequeue(self, task: Task) -> None:
        """A ready task is no longer: it leaves its lane or gives up its reservation."""
        if task.reservation is not None:
            self.reserved.remove(task)
            task.reservation = None
        else:
            self.queue.remove(task)
        self.lose_work(task.group)
        if task.cell is not None:
            task.cell.node.ready -= 1
        self.stir()

    def drop_reservation(self, task: Task) -> None:
        """A task gives up its reservation and goes back to its place, with its elapsed patience."""
        self.reserved.remove(task)
        task.reservation = None
        self.queue.push(task)
        self.touch(task)

    def holders_of(self, mask: int) -> list[Attempt]:
        """The attempts that hold something of the amounts and devices in a mask; limits and rates come back soon."""
        found: dict[AttemptId, Attempt] = {}
        for pool in self.pools.values():
            if mask >> pool.bit & 1 and pool.kind is PoolKind.AMOUNT:
                found.update((attempt, self.attempts[attempt]) for attempt in pool.holders)
        if mask >> self.devices.bit & 1:
            for device in self.devices.devices.values():
                found.update((attempt, self.attempts[attempt]) for attempt in device.holders)
        if mask >> self.node.bit & 1:
            found.update((attempt, self.attempts[attempt]) for attempt in self.node.holders)
        return list(found.values())

    def _compile(self, spec: TaskSpec) -> tuple[ShapeVariant, ...]:
        on_node = spec.driver != CALLS
        return tuple(
            self._variant(index, variant, on_node=on_node) for index, variant in enumerate(spec.request.variants)
        )

    def _variant(self, index: int, variant: Variant, *, on_node: bool) -> ShapeVariant:
        totals: dict[ScalarPool, int] = {}
        for name, amount in variant.amounts:
            for pool in lineage(self.pool(name)):
                totals[pool] = totals.get(pool, 0) + amount
        mask = 0
        for pool in totals:
            mask |= 1 << pool.bit
        if variant.devices is not None:
            mask |= 1 << self.devices.bit
        devices = None if variant.devices is None else self._asks.setdefault(variant.devices, variant.devices)
        return ShapeVariant(index, variant, tuple(totals.items()), mask, devices=devices, on_node=on_node)

    def _recompile(self) -> None:
        for spec, shape in self.shapes.items():
            shape.compile(self._compile(spec))

    def pool_names(self, mask: int) -> list[str]:
        """The names of the pools in a mask: by name, since a machine that was restored has pools in another order."""
        names = sorted(pool.name for pool in self.pools.values() if mask >> pool.bit & 1)
        if mask >> self.devices.bit & 1:
            names.append(GPU)
        if mask >> self.node.bit & 1:
            names.append(NODE)
        return [str(name) for name in names]
