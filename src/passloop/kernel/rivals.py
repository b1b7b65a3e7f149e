"""Which groups that wait are in the way of a task: those that could use what it asks, as soon as that is given back.

Who waits for anything else, which may never come, has a virtual time that says nothing to the task. It only reads.
"""

from __future__ import annotations

from collections.abc import Iterator

from .device_pool import DevicePool
from .ready_queue import ReadyQueue
from .records import Group, Shape, ShapeVariant, Task

__all__ = ["Rivals"]


class Rivals:
    """The ready tasks, and `devices`, as they are when they are asked about."""

    __slots__ = ("_devices", "_queue", "_reserved")

    def __init__(self, queue: ReadyQueue, reserved: list[Task], devices: DevicePool) -> None:
        self._queue = queue
        self._reserved = reserved
        self._devices = devices

    def has(self, group: Group, asked: int, now: int) -> bool:
        """Whether a ready task of the group, or of one inside it, could start if what is `asked`, a mask of pools, were
        free; `now` in ms.
        """
        waiting = (shape.variants[start:] for leaf in _leaves(group) for shape, start in self._waiting(leaf))
        return any(self._could_use(variant, asked, now) for variants in waiting for variant in variants)

    def _waiting(self, leaf: Group) -> Iterator[tuple[Shape, int]]:
        """What ready tasks of a group ask: their shape, and the first of its variants that is left."""
        name = leaf.name.removesuffix("/")
        for level in self._queue.levels.values():
            for lane in level.get(name, ()):
                yield lane.shape, lane.variant_from
        for task in self._reserved:
            if task.group.path[-1] is leaf:
                yield task.shape, task.variant_from

    def _could_use(self, variant: ShapeVariant, asked: int, now: int) -> bool:
        """Whether a variant could ever start as things are, and lacks nothing beside what is asked."""
        for pool, amount in variant.draws:
            is_enough = pool.could_admit(amount) if asked >> pool.bit & 1 else amount <= pool.most(now)
            if not is_enough:
                return False
        ask, devices = variant.devices, self._devices
        if ask is None:
            return True
        return devices.could_serve(ask) if asked >> devices.bit & 1 else not devices.has_too_few(ask)


def _leaves(group: Group) -> Iterator[Group]:
    """The groups inside it whose own tasks are ready; itself if there are none inside."""
    if not group.busy:
        yield group
    for inner in group.busy.values():
        yield from _leaves(inner)
