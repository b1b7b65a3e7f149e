"""The device pool: which device has what free, which is vetoed, and which to choose. Exact integers throughout.

A share lives on exactly one device; whole devices are given whole. Choosing is all or nothing. Weights of the score
follow the autotuner's pool: 0.6 x free memory fraction + 0.4 x idle fraction, here in 1/10,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .amounts import SHARE_WHOLE, share_of_vram
from .events import DeviceSeen, Foreign
from .ids import AttemptId
from .resources import GPU, DeviceAsk, Grant

__all__ = [
    "BALANCE_PERCENT",
    "DEFAULT_WEIGHTS",
    "Device",
    "DevicePool",
    "DeviceState",
    "Spare",
    "Weights",
    "is_balanced",
]

BALANCE_PERCENT = 80
USABLE_PERCENT = 80

Spare = Mapping[str, tuple[int, int]]
"""By UUID, the (share, VRAM in MiB) that may still be taken of a device some reservation counts on."""


class DeviceState(StrEnum):
    """Whether a device may be given: free for us, used by others, not proven clean, or gone."""

    AVAILABLE = "available"
    VETOED = "vetoed"
    QUARANTINED = "quarantined"
    LOST = "lost"


AVAILABLE = DeviceState.AVAILABLE


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the score of a device, in percent."""

    memory: int = 60
    idle: int = 40


DEFAULT_WEIGHTS = Weights()


class Device:
    """One device and who holds what of it. VRAM in MiB, shares in 1/10,000.

    `parked` are the workers that lie here, with what each has and since when: free, but not empty yet.
    """

    __slots__ = (
        "fault",
        "foreign",
        "free_share",
        "free_vram",
        "holders",
        "index",
        "links",
        "name",
        "numa",
        "parked",
        "score",
        "state",
        "strays",
        "usable",
        "utilisation",
        "uuid",
        "virtual",
        "vram",
    )

    def __init__(self, seen: DeviceSeen) -> None:
        self.uuid = seen.uuid
        self.vram = seen.vram_mib
        self.free_share = SHARE_WHOLE
        self.free_vram = seen.vram_mib
        self.holders: dict[AttemptId, Grant] = {}
        self.parked: dict[int, tuple[Grant, int]] = {}
        self.state = AVAILABLE
        self.fault = ""
        self.foreign: tuple[Foreign, ...] = ()
        self.strays: tuple[int, ...] = ()

    def observe(self, seen: DeviceSeen, weights: Weights) -> None:
        """Take in what was seen. A fault that an attempt reported stays until a user vouches for the device."""
        self.index, self.name, self.numa, self.links = seen.index, seen.name, seen.numa, seen.links
        self.virtual, self.utilisation = seen.virtual, seen.utilisation
        if seen.vram_mib != self.vram:
            self.free_vram += seen.vram_mib - self.vram
            self.vram = seen.vram_mib
        self.usable = seen.usable_mib
        self.foreign, self.strays = seen.foreign, seen.strays
        if not self.fault.startswith("reported:"):  # a look that failed would be forgotten with the next good one
            self.fault = seen.fault
        memory = SHARE_WHOLE * self.usable // max(1, self.vram)
        idle = SHARE_WHOLE * (100 - seen.utilisation) // 100
        self.score = (weights.memory * memory + weights.idle * idle) // 100
        self.settle()

    def settle(self) -> None:
        """Derive the state from what is known."""
        if self.fault or self.strays:
            self.state = DeviceState.QUARANTINED
        elif self.foreign:
            self.state = DeviceState.VETOED
        else:
            self.state = AVAILABLE

    def lose(self) -> None:
        """It is no longer there."""
        self.state = DeviceState.LOST

    def could_serve(self, ask: DeviceAsk) -> bool:
        """Whether the ask fits here once all our attempts have ended."""
        return self.state is AVAILABLE and self.usable >= self.least_usable(ask)

    def least_usable(self, ask: DeviceAsk) -> int:
        """How much VRAM in MiB must be usable here: what is asked, and of a whole device 80 % where nothing is."""
        if ask.vram_mib is None and not ask.share:
            return -(-self.vram * USABLE_PERCENT // 100)
        return self.vram_for(ask) if ask.share else ask.vram_mib or 0

    def vram_for(self, ask: DeviceAsk) -> int:
        """VRAM in MiB that this ask takes here: all of it for a whole device."""
        if not ask.share:
            return self.vram
        return share_of_vram(ask.share, self.vram) if ask.vram_mib is None else ask.vram_mib

    def fits(self, ask: DeviceAsk) -> bool:
        """Whether the ask fits beside what is held now."""
        if not ask.share:
            return not self.holders and self.could_serve(ask)
        if self.free_share < ask.share or self.state is not AVAILABLE:
            return False
        taken, needed = self.vram - self.free_vram, self.vram_for(ask)
        return self.free_vram >= needed and taken + needed <= self.usable

    def disturbs(self, ask: DeviceAsk) -> int:
        """0 if the ask fits beside the workers that are parked here, else when the latest used of them was."""
        if not self.parked:
            return 0
        share, vram = self.free_share, self.free_vram
        for grant, _ in self.parked.values():
            share, vram = share - grant.share, vram - grant.vram_mib
        if ask.share and share >= ask.share and vram >= self.vram_for(ask):
            return 0
        return max(since for _, since in self.parked.values())

    def would_hold(self, ask: DeviceAsk) -> bool:
        """Whether a device of this size could ever serve the ask, whatever its state."""
        return self.vram_for(ask) <= self.vram and (ask.vram_mib or 0) <= self.vram


class DevicePool:
    """All devices. `bit` is the pool's place in masks of pools."""

    __slots__ = ("bit", "devices", "name", "weights")

    def __init__(self, bit: int, weights: Weights) -> None:
        self.name = GPU
        self.bit = bit
        self.devices: dict[str, Device] = {}
        self.weights = weights

    def observe(self, seen: Iterable[DeviceSeen], *, complete: bool) -> None:
        """Take in a look at devices; with `complete`, those not seen are lost."""
        named = set()
        for one in seen:
            named.add(one.uuid)
            device = self.devices.get(one.uuid)
            if device is None:
                device = self.devices[one.uuid] = Device(one)
            device.observe(one, self.weights)
        if complete:
            for device in self.devices.values():
                if device.uuid not in named:
                    device.lose()

    def take(self, attempt: AttemptId, grants: Iterable[Grant]) -> None:
        """Charge grants to an attempt."""
        for grant in grants:
            device = self.devices.get(grant.uuid) or self._unknown(grant)
            device.free_share -= grant.share
            device.free_vram -= grant.vram_mib
            device.holders[attempt] = grant

    def _unknown(self, grant: Grant) -> Device:
        """A device that an attempt holds though nobody saw it yet (after a repair): lost until it is seen."""
        seen = DeviceSeen(uuid=grant.uuid, index=-1, name="unknown", vram_mib=grant.vram_mib, usable_mib=0)
        device = self.devices[grant.uuid] = Device(seen)
        device.observe(seen, self.weights)
        device.lose()
        return device

    def give(self, attempt: AttemptId, grants: Iterable[Grant]) -> None:
        """Give back what an attempt holds of these devices."""
        for grant in grants:
            device = self.devices[grant.uuid]
            held = device.holders.pop(attempt, None)
            if held is not None:
                device.free_share += held.share
                device.free_vram += held.vram_mib

    def leaves(self, grant: Grant, ask: DeviceAsk, spare: Spare) -> bool:
        """Whether this device can be granted for the ask, and leaves each reservation what `spare` says."""
        device = self.devices.get(grant.uuid)
        return device is not None and device.fits(ask) and _within(device, ask, spare)

    def could_serve(self, ask: DeviceAsk) -> bool:
        """Whether the ask would fit if all our attempts ended now."""
        if ask.balance and not ask.share:
            able = [device for device in self.devices.values() if device.could_serve(ask)]
            return len(able) >= ask.count and _balanced(able, ask.count) is not None
        return self._are_enough(Device.could_serve, ask)

    def has_too_few(self, ask: DeviceAsk) -> bool:
        """Whether the ask does not fit beside what is held now."""
        if ask.balance:
            return self.choose(ask, last=frozenset(), spare={}) is None
        return not self._are_enough(Device.fits, ask)

    def _are_enough(self, suits: Callable[[Device, DeviceAsk], bool], ask: DeviceAsk) -> bool:
        """Whether as many devices suit as are asked; no more are looked at, and none that may not be given."""
        wanted = 1 if ask.share else ask.count
        for device in self.devices.values():
            if device.state is AVAILABLE and suits(device, ask):
                wanted -= 1
                if not wanted:
                    return True
        return False

    def would_hold(self, ask: DeviceAsk) -> bool:
        """Whether the box could ever serve the ask, were every device there and free."""
        able = [d for d in self.devices.values() if d.state != DeviceState.LOST and d.would_hold(ask)]
        return len(able) >= (1 if ask.share else ask.count) and (not ask.balance or _could_balance(able, ask.count))

    def choose(self, ask: DeviceAsk, *, last: frozenset[str], spare: Spare) -> tuple[Grant, ...] | None:
        """Choose devices for the ask beside what is held, all or nothing; None if it does not fit.

        `last` are devices that some reservation names and that are taken only where others do not do; `spare` says
        how much of a device a reservation leaves, and is a hard limit.
        """
        able = [device for device in self.devices.values() if device.state is AVAILABLE and device.fits(ask)]
        if spare:
            able = [device for device in able if _within(device, ask, spare)]
        if ask.share:
            return _share(able, ask, last)
        if len(able) < ask.count:
            return None
        chosen = _whole(able, ask, last)
        return None if chosen is None else tuple(Grant(d.uuid, SHARE_WHOLE, d.vram) for d in chosen)


def _within(device: Device, ask: DeviceAsk, spare: Spare) -> bool:
    left = spare.get(device.uuid)
    if left is None:
        return True
    return left[0] >= (ask.share or SHARE_WHOLE) and left[1] >= device.vram_for(ask)


def _share(able: list[Device], ask: DeviceAsk, last: frozenset[str]) -> tuple[Grant, ...] | None:
    """Best fit: the device that is left with the least, so that whole devices stay whole."""
    if not able:
        return None
    best = min(able, key=lambda d: (d.uuid in last, d.disturbs(ask), d.free_share, d.free_vram, -d.score, d.index))
    return (Grant(best.uuid, ask.share, best.vram_for(ask)),)


def _whole(able: list[Device], ask: DeviceAsk, last: frozenset[str]) -> list[Device] | None:
    """Unreserved first; for several, one NVLink group, else one NUMA node, else the best scores; balanced if it can."""
    if ask.count == 1:
        return [min(able, key=lambda d: (d.uuid in last, d.disturbs(ask), -d.score, d.index))]
    able.sort(key=lambda d: (d.uuid in last, d.disturbs(ask), -d.score, d.index))
    for near in (*_neighbourhoods(able, ask.count), able):
        chosen = _balanced(near, ask.count)
        if chosen is not None:
            return chosen
    return None if ask.balance else able[: ask.count]


def _neighbourhoods(able: list[Device], count: int) -> list[list[Device]]:
    """Groups of at least `count` devices that are close together, closest kind first, in order of `able`."""
    linked = dict.fromkeys(d.links for d in able if d.links)
    nodes = dict.fromkeys(d.numa for d in able if d.numa >= 0)
    groups = [[d for d in able if d.links == links] for links in linked]
    groups += [[d for d in able if d.numa == numa] for numa in nodes]
    return [group for group in groups if len(group) >= count]


def _balanced(able: list[Device], count: int) -> list[Device] | None:
    """The first `count` devices whose free VRAM lies within 80 % of each other, keeping the order given."""
    chosen = able[:count]
    if is_balanced(chosen):
        return chosen
    by_memory = sorted(able, key=lambda d: -d.usable)
    for start in range(len(by_memory) - count + 1):
        window = by_memory[start : start + count]
        if is_balanced(window):
            return window
    return None


def _could_balance(able: list[Device], count: int) -> bool:
    """Whether enough devices are of about one size: only strangers' use could ever make others alike."""
    sizes = sorted(device.vram for device in able)
    return any(low * 100 >= high * BALANCE_PERCENT for low, high in zip(sizes, sizes[count - 1 :], strict=False))


def is_balanced(devices: Sequence[Device]) -> bool:
    """Whether the VRAM that is usable on each lies within 80 % of each other's."""
    memory = [device.usable for device in devices]
    return min(memory) * 100 >= max(memory) * BALANCE_PERCENT
