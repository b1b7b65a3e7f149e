"""The machine's own working records: shapes, tasks and attempts. Mutable, inside the kernel only; what leaves the
kernel are the frozen rows of `tasks.py`."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from .durations import Forecast
from .events import PoolKind
from .ids import AttemptId, RunId
from .pools import RatePool, ScalarPool, lineage
from .resources import Allocation, DeviceAsk, Variant
from .tasks import (
    FINAL_STATES,
    AttemptRow,
    Dependency,
    Outcome,
    OutcomeKind,
    Reservation,
    TaskRow,
    TaskSpec,
)

if TYPE_CHECKING:
    from .ends import End
    from .source_records import LiveCell

__all__ = ["Attempt", "Group", "Place", "Shape", "ShapeVariant", "Task"]

Place = tuple[int, int, int, int]
"""(run, rank, index, task): a task's place among those of its priority and group; a retry keeps it."""


class ShapeVariant:
    """A variant with its pools looked up. `draws` has each pool once, parents included; `mask` all pools asked
    but the node, which every task but a call is on. Equal `devices` are one object in all variants of a state."""

    __slots__ = ("devices", "draws", "exclusive", "index", "mask", "on_node", "variant")

    def __init__(
        self,
        index: int,
        variant: Variant,
        draws: tuple[tuple[ScalarPool, int], ...],
        mask: int,
        *,
        devices: DeviceAsk | None,
        on_node: bool,
    ) -> None:
        self.index = index
        self.variant = variant
        self.devices = devices
        self.exclusive = variant.exclusive
        self.draws = draws
        self.mask = mask
        self.on_node = on_node


class Shape:
    """The interned form of equal specs: what admission compares, once for all tasks that share it.

    `mask` has all pools that some variant asks; `single` is the only variant's mask, or 0 where there are several.
    With `in_line` order alone keeps for a task what a reservation would: it asks one place of a limit and of that one's
    parents. Who ends gives back a place of each at once, and it is asked first; nobody else can have taken a part.
    """

    __slots__ = ("exclusive", "forecast", "in_line", "mask", "on_node", "single", "spec", "variants")

    def __init__(self, spec: TaskSpec, variants: tuple[ShapeVariant, ...], forecast: Forecast) -> None:
        self.spec = spec
        self.forecast = forecast
        self.compile(variants)

    def compile(self, variants: tuple[ShapeVariant, ...]) -> None:
        """Take the variants with their pools as they are now."""
        self.variants = variants
        self.mask = 0
        for variant in variants:
            self.mask |= variant.mask
        self.single = variants[0].mask if len(variants) == 1 else 0
        self.exclusive = any(variant.exclusive for variant in variants)
        self.on_node = variants[0].on_node
        self.in_line = bool(self.single) and _is_place_of_limits(variants[0])


def _is_place_of_limits(variant: ShapeVariant) -> bool:
    """Whether all that is asked is one place of a limit, and of its parents; and of rates that nobody knows."""
    if variant.devices is not None or variant.on_node or variant.exclusive:
        return False
    draws = [(pool, amount) for pool, amount in variant.draws if not isinstance(pool, RatePool) or pool.is_known]
    places = all(amount == 1 and pool.kind is PoolKind.LIMIT for pool, amount in draws)
    return bool(draws) and places and [pool for pool, _ in draws] == list(lineage(draws[0][0]))


class Group:
    """A group of tasks that shares fairly with those beside it; `virtual_time` in ms of dominant share.

    `chain` are the groups that it is in, outermost first, and itself. `path` are those that its own tasks are charged
    to: the chain, and where others are inside it a last one for its own, that shares with them. `work` counts its ready
    tasks and those inside it; `busy` are the groups right inside it that have some. `pending` is what of its virtual
    time is charged for live attempts, and will be corrected. `furthest` is the most that is settled of a group right
    inside it; what is settled never gets less.
    """

    __slots__ = ("busy", "chain", "furthest", "held", "name", "parent", "path", "pending", "virtual_time", "work")

    def __init__(self, name: str, parent: Group | None = None) -> None:
        self.name = name
        self.parent = parent
        self.virtual_time = 0
        self.held = False
        self.pending = 0
        self.furthest = 0
        self.work = 0
        self.busy: dict[str, Group] = {}
        self.chain: tuple[Group, ...] = (self,) if parent is None else (*parent.chain, self)
        self.path = self.chain

    @property
    def settled(self) -> int:
        """Its virtual time without what is charged for live attempts."""
        return self.virtual_time - self.pending

    def keeper(self) -> Group | None:
        """The group that holds its tasks back: itself or one that it is in; None if none does."""
        return next((group for group in reversed(self.chain) if group.held), None)


class Task:
    """A task that is not final, or became so in this turn."""

    __slots__ = (
        "after",
        "attempt",
        "attempts",
        "cell",
        "counts_failures",
        "counts_faults",
        "counts_losses",
        "counts_ooms",
        "counts_timeouts",
        "ended_at",
        "exit_code",
        "group",
        "head_since",
        "held",
        "id",
        "index",
        "key",
        "message",
        "not_before",
        "outcome",
        "patience",
        "priority",
        "rank",
        "reservation",
        "retried_by",
        "retry_of",
        "run",
        "shape",
        "started_at",
        "state",
        "stop_reason",
        "submitted_at",
        "unmet",
        "variant_from",
    )

    def __init__(self, row: TaskRow, shape: Shape, group: Group, after: tuple[Dependency, ...]) -> None:
        self.shape = shape
        self.group = group
        self.after = after
        self.unmet: set[int] = set()
        self.attempt: Attempt | None = None
        self.cell: LiveCell | None = None
        self.id, self.run, self.index, self.rank, self.key = row.id, row.run, row.index, row.rank, row.key
        self.priority, self.state, self.held = row.priority, row.state, row.held
        self.attempts = row.attempts
        self.counts_failures, self.counts_timeouts = row.failures, row.timeouts
        self.counts_ooms, self.counts_losses, self.counts_faults = row.ooms, row.losses, row.faults
        self.not_before, self.variant_from = row.not_before, row.variant_from
        self.head_since, self.patience = row.head_since, row.patience
        self.reservation: Reservation | None = row.reservation
        self.submitted_at, self.started_at, self.ended_at = row.submitted_at, row.started_at, row.ended_at
        self.outcome: OutcomeKind | None = row.outcome
        self.exit_code, self.message = row.exit_code, row.message
        self.retry_of, self.retried_by, self.stop_reason = row.retry_of, row.retried_by, row.stop_reason

    @property
    def place(self) -> Place:
        return (self.run, self.rank, self.index, self.id)

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES

    def row(self) -> TaskRow:
        """The task as it is now, frozen."""
        return TaskRow._make(_task_fields(self))

    def story(self) -> str:
        """What happened to it, in one line, for an error that means a bug."""
        last = f"attempt {self.attempts}" if self.attempts else "no attempt yet"
        return f"run {self.run}, {last}, submitted at {self.submitted_at}, outcome {self.outcome or 'none'}"


class Attempt:
    """One try at a task and the ledger's view of it: what it holds, and until when at most."""

    __slots__ = (
        "admitted_at",
        "allocation",
        "bound",
        "bound_enforced",
        "charged",
        "driver",
        "end",
        "ended_at",
        "epoch",
        "group",
        "id",
        "outcome",
        "process",
        "run",
        "shape",
        "started_at",
        "state",
        "task",
    )

    def __init__(self, row: AttemptRow, *, run: RunId, shape: Shape, group: Group) -> None:
        self.id: AttemptId = row.id
        self.task = row.task
        self.epoch, self.state, self.driver = row.epoch, row.state, row.driver
        self.allocation: Allocation = row.allocation
        self.admitted_at, self.started_at, self.ended_at = row.admitted_at, row.started_at, row.ended_at
        self.process = row.process
        self.outcome: Outcome | None = row.outcome
        self.run = run
        self.shape = shape
        self.group = group
        self.bound, self.bound_enforced = row.bound, row.bound_enforced
        self.charged = row.charged
        self.end: End | None = None

    def row(self) -> AttemptRow:
        """The attempt as it is now, frozen."""
        return AttemptRow._make(_attempt_fields(self))


_KEPT_AS = {
    "group": "group.name",
    "failures": "counts_failures",
    "timeouts": "counts_timeouts",
    "ooms": "counts_ooms",
    "losses": "counts_losses",
    "faults": "counts_faults",
}
_task_fields = attrgetter(*(_KEPT_AS.get(name, name) for name in TaskRow._fields))
_attempt_fields = attrgetter(*AttemptRow._fields)
