"""Pools and devices as frozen views, for people."""

from __future__ import annotations

from dataclasses import dataclass

from .device_pool import Device, DeviceState
from .events import Foreign
from .pools import RatePool
from .state import State

__all__ = ["DeviceView", "PoolView", "device_views", "pool_views"]


@dataclass(frozen=True, slots=True)
class DeviceView:
    """One device. VRAM in MiB, share in 1/10,000; `holders` are task ids, `reserved_for` the task that keeps it."""

    index: int
    uuid: str
    name: str
    vram_mib: int
    free_mib: int
    free_share: int
    state: str
    holders: tuple[int, ...]
    reserved_for: int | None
    foreign: tuple[Foreign, ...]
    strays: tuple[int, ...]
    fault: str
    utilisation: int
    virtual: bool


@dataclass(frozen=True, slots=True)
class PoolView:
    """One scalar pool; amounts in the pool's unit, times in engine ms."""

    name: str
    kind: str
    capacity: int
    used: int
    free: int
    parent: str | None
    gate: str
    until: int | None
    limit: int | None
    holders: tuple[int, ...]


def device_views(state: State) -> tuple[DeviceView, ...]:
    """Every device, in CUDA order."""
    kept = {
        grant.uuid: task.id
        for task in reversed(state.reserved)
        if task.reservation is not None
        for grant in task.reservation.allocation.devices
    }
    return tuple(
        DeviceView(
            index=d.index,
            uuid=d.uuid,
            name=d.name,
            vram_mib=d.vram,
            free_mib=_free_mib(d),
            free_share=0 if d.state is DeviceState.LOST else d.free_share,
            state=d.state.value,
            holders=tuple(state.attempts[a].task for a in sorted(d.holders)),
            reserved_for=kept.get(d.uuid),
            foreign=d.foreign,
            strays=d.strays,
            fault=d.fault,
            utilisation=d.utilisation,
            virtual=d.virtual,
        )
        for d in sorted(state.devices.devices.values(), key=lambda d: (d.index, d.uuid))
    )


def _free_mib(device: Device) -> int:
    """What we may still take; nobody takes anything of a lost one."""
    if device.state is DeviceState.LOST:
        return 0
    return max(0, min(device.free_vram, device.usable - (device.vram - device.free_vram)))


def pool_views(state: State, now: int) -> tuple[PoolView, ...]:
    """Every scalar pool, by name, but those that nobody declared and nobody holds: somebody only asked for them."""
    found = []
    for _, pool in sorted(state.pools.items()):
        closure = pool.closure
        if not pool.capacity and not pool.holders and closure is None:
            continue
        found.append(
            PoolView(
                name=pool.name,
                kind=pool.kind.value,
                capacity=pool.capacity,
                used=pool.capacity - pool.free(now) if isinstance(pool, RatePool) else pool.used,
                free=max(0, pool.free(now)),
                parent=pool.parent.name if pool.parent is not None else None,
                gate=pool.gate().value,
                until=closure.until if closure is not None else None,
                limit=closure.limit if closure is not None else None,
                holders=tuple(state.attempts[a].task for a in sorted(pool.holders)),
            )
        )
    return tuple(found)
