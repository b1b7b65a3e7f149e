"""The looks that the engine acts on: what the inventory sees, with the devices that other homes have locked.

The second look before each start stands here. It decides nothing beyond "still as it was granted, or not".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from passloop.kernel.events import DeviceSeen, Foreign
from passloop.kernel.resources import Grant

from .base import Inventory
from .locks import DeviceLocks

__all__ = ["DeviceCheck", "SecondLook", "why_not_free"]


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What was seen of the granted devices. `reason` is why the start must be refused; empty = they are
    free.
    """

    seen: tuple[DeviceSeen, ...]
    reason: str = ""


class DeviceCheck:
    """Looks at devices as one home has to: a device that another home has locked counts as used by it.

    May block for a while (NVML, locks): call it off the loop thread.
    """

    def __init__(self, inventory: Inventory, locks: DeviceLocks | None = None) -> None:
        self._inventory = inventory
        self._locks = locks

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        """Every device, or these; as `Inventory.look`, with other homes' locks told as foreign."""
        return tuple(self._with_other_home(device) for device in self._inventory.look(uuids))

    def still_free(self, uuids: Sequence[str]) -> tuple[DeviceSeen, ...]:
        """These devices as they are now, in this order; one that is gone is told with a fault."""
        seen = {device.uuid: device for device in self.look(frozenset(uuids))}
        return tuple(seen.get(uuid) or _gone(uuid, virtual=self._inventory.virtual) for uuid in uuids)

    def second_look(self, grants: Sequence[Grant], *, beside_mib: int = 0) -> SecondLook:
        """Look once more at what is about to be used.

        `beside_mib` is the VRAM in MiB that other attempts of ours were granted on the same (shared) device.
        """
        seen = self.still_free([grant.uuid for grant in grants])
        reasons = [
            why_not_free(device, grant.vram_mib + beside_mib) for device, grant in zip(seen, grants, strict=True)
        ]
        return SecondLook(seen, "; ".join(reason for reason in reasons if reason))

    def _with_other_home(self, device: DeviceSeen) -> DeviceSeen:
        other = self._locks.taken_elsewhere(device.uuid) if self._locks is not None else None
        if other is None:
            return device
        name = f"passloop home {other.home_id}" if other.home_id else f"passloop ({other.trouble})"
        return replace(device, foreign=(*device.foreign, Foreign(0, other.user, name)))


def why_not_free(device: DeviceSeen, vram_mib: int = 0) -> str:
    """Why a start on this device must be refused, in a few words; empty when it may go on."""
    if device.fault:
        return f"{device.uuid}: {device.fault}"
    if device.foreign:
        one = device.foreign[0]
        whose = f" of {one.user}" if one.user else ""
        return f"{device.uuid}: in use by {one.name or 'a process'}{whose}" + (f" (pid {one.pid})" * (one.pid > 0))
    if device.strays:
        return f"{device.uuid}: attempt {device.strays[0]} ended but a process of it still holds the device"
    if device.usable_mib < vram_mib:
        return f"{device.uuid}: {device.usable_mib} MiB are usable, {vram_mib} MiB were granted"
    return ""


def _gone(uuid: str, *, virtual: bool) -> DeviceSeen:
    return DeviceSeen(uuid, -1, "", 0, 0, fault="the device is no longer there", virtual=virtual)
