"""What there is to take while a pass walks: one number for each pool, lowered by what starts.

A pass asks of many lanes what they lack and starts few of them, so each pool is asked once, not once for every lane.
It sees only what is free beside what is used; reservations are not its business, and it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .cooldowns import Gate
from .events import PoolKind
from .pools import ScalarPool
from .records import ShapeVariant
from .resources import DeviceAsk, Grant
from .state import State

__all__ = ["Supply"]


class Supply:
    """What each pool would give one task now. `exhausted`, `probed` and `refilling` are masks of pools: those with
    nothing to give, those that give to one probe alone, and those that time alone fills again."""

    __slots__ = ("_devices", "_node", "_now", "_too_few", "exhausted", "most", "probed", "refilling")

    def __init__(self, state: State, now: int) -> None:
        self._now = now
        self._devices = state.devices
        self._node = state.node
        self._too_few: dict[int, bool] = {}
        self.most: dict[ScalarPool, int] = {}
        self.exhausted = self.probed = self.refilling = 0
        for pool in state.pools.values():
            most = self.most[pool] = pool.most(now)
            if most <= 0:
                self.exhausted |= 1 << pool.bit
            if pool.closure is None:
                continue
            if pool.kind is PoolKind.RATE:
                self.refilling |= 1 << pool.bit
            if pool.closure.gate is Gate.HALF_OPEN:
                self.probed |= 1 << pool.bit
        self._look_at_devices()

    def _look_at(self, pool: ScalarPool) -> None:
        most = self.most[pool] = pool.most(self._now)
        if most <= 0:
            self.exhausted |= 1 << pool.bit

    def _look_at_devices(self) -> None:
        self._too_few.clear()
        for device in self._devices.devices.values():
            if device.free_share:
                return
        self.exhausted |= 1 << self._devices.bit

    def take(self, variant: ShapeVariant, grants: Sequence[Grant]) -> None:
        """Somebody started, and was charged: there is less of what it drew on. Nothing ever comes back in a walk."""
        for pool, _ in variant.draws:
            self._look_at(pool)
        if grants:
            self._look_at_devices()

    def lacks(self, variant: ShapeVariant, run: int) -> int:
        """The mask of pools that have too little for a task of this run now."""
        mask = 0
        most = self.most
        for pool, amount in variant.draws:
            if amount > most[pool]:
                mask |= 1 << pool.bit
        if variant.devices is not None and self._has_too_few(variant.devices):
            mask |= 1 << self._devices.bit
        node = self._node
        excludes = variant.exclusive or node.exclusive
        if excludes and variant.on_node and not node.admits(run, exclusive=variant.exclusive):
            mask |= 1 << node.bit
        return mask

    def _has_too_few(self, ask: DeviceAsk) -> bool:
        if self.exhausted >> self._devices.bit & 1:
            return True
        found = self._too_few.get(id(ask))  # equal asks of variants are one object
        if found is None:
            found = self._too_few[id(ask)] = self._devices.has_too_few(ask)
        return found
