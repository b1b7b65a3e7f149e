"""Which groups that wait are in the way of a task: those that could use what it asks, as soon as that is given back.

Who waits for anything else, which may never come, has a virtual time that says nothing to the task. It only reads.
"""

from __future__ import annotations

from collections.abc import Iterator

from .device_pool import DevicePool
from .ready_queue import ReadyQueue
from .records import Group, ShapeVariant, Task

__all__ = ["Rivals"]


class Rivals:
    """Who waits for what the `asker` asks, a task that becomes ready at `now`, in ms.

    `asked` is the mask of the pools it asks; `gone` are those of them that would not serve it if all our attempts
    ended now (closed, vetoed, too few). Who waits for the same that is gone waits for the same.
    """

    __slots__ = ("_devices", "_known", "_now", "_queue", "_reserved", "asked", "gone")

    def __init__(self, queue: ReadyQueue, reserved: list[Task], devices: DevicePool, asker: Task, now: int) -> None:
        self._queue = queue
        self._reserved = reserved
        self._devices = devices
        self._now = now
        self._known: dict[ShapeVariant, bool] = {}  # many groups wait for the same, and this lives for one question
        self.asked = self.gone = 0
        for variant in _left(asker):
            self.asked |= variant.mask
            for pool, amount in variant.draws:
                if not pool.could_admit(amount):
                    self.gone |= 1 << pool.bit
            if variant.devices is not None and not devices.could_serve(variant.devices):
                self.gone |= 1 << devices.bit

    def has(self, group: Group) -> bool:
        """Whether a ready task of the group, or of one inside it, could start if what is asked were free, or what is
        gone were back.
        """
        waiting = (task for leaf in _leaves(group) for task in self._waiting(leaf))
        return any(self._could_use(variant) for variants in waiting for variant in variants)

    def _waiting(self, leaf: Group) -> Iterator[tuple[ShapeVariant, ...]]:
        """What ready tasks of a group ask: their variants that are left."""
        name = leaf.name.removesuffix("/")
        for level in self._queue.levels.values():
            for lane in level.get(name, ()):
                yield lane.shape.variants[lane.variant_from :]
        for task in self._reserved:
            if task.group.path[-1] is leaf:
                yield _left(task)

    def _could_use(self, variant: ShapeVariant) -> bool:
        """Whether a variant could start; looked at once for all who wait for the same."""
        known = self._known.get(variant)
        if known is None:
            known = self._known[variant] = self._lacks_nothing_else(variant)
        return known

    def _lacks_nothing_else(self, variant: ShapeVariant) -> bool:
        """Whether a variant lacks nothing beside what is asked, and could have that where the asker could."""
        for pool, amount in variant.draws:
            bit = 1 << pool.bit
            is_enough = pool.could_admit(amount) if self.asked & bit else amount <= pool.most(self._now)
            if not is_enough and not self.gone & bit:
                return False
        ask, devices = variant.devices, self._devices
        bit = 1 << devices.bit
        if ask is None or self.gone & bit:
            return True
        return devices.could_serve(ask) if self.asked & bit else not devices.has_too_few(ask)


def _left(task: Task) -> tuple[ShapeVariant, ...]:
    return task.shape.variants[task.variant_from :]


def _leaves(group: Group) -> Iterator[Group]:
    """The groups inside it whose own tasks are ready; itself if there are none inside."""
    if not group.busy:
        yield group
    for inner in group.busy.values():
        yield from _leaves(inner)
