"""The devices of the simulated box as they really are, and how each home sees them.

A home sees at once what strangers run and what its own dead attempts left; what another home runs shows up on a device
only after a while, as a process does that has yet to open it. `Desk` is the engine's own, without its sampler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from passloop.clock import FakeClock
from passloop.devices.base import Sample
from passloop.devices.ownership import Holding
from passloop.devices.sampler import Sampler
from passloop.drivers.base import Report
from passloop.engine.device_desk import DeviceDesk
from passloop.kernel.events import DeviceSeen, Foreign
from tests.support.builders import seen

__all__ = ["Desk", "Devices", "HomeView", "Occupant"]

SHOWS_UP_AFTER = 1_000
LOOKED_AT_LAST = 30
"""How old (ms) a look may be when a start follows it."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """An attempt on a device, or the worker that it started; it is there until it is `gone`, whoever knows of it.

    `share` in 1/10,000. Only who `shows` is seen: a worker that has begun nothing yet has not touched the device. Who
    `stays` is a worker that is there by right until it is told to end, or dies.
    """

    home: int
    attempt: int
    share: int
    since: int
    gone: Callable[[int], bool]
    shows: Callable[[], bool]
    stays: Callable[[], bool]


@dataclass
class TrueDevice:
    """One device: whether it is there and works, strangers on it (with the time they came), attempts on it."""

    index: int
    there: bool = True
    fault: str = ""
    foreign: tuple[Foreign, ...] = ()
    foreign_since: int = 0
    occupants: list[Occupant] = field(default_factory=list)


class Devices:
    """All devices of the box. Whoever starts on one is held against all that is there."""

    def __init__(self, clock: FakeClock, count: int) -> None:
        self.clock = clock
        self.by_uuid = {seen(index).uuid: TrueDevice(index) for index in range(count)}

    def occupy(self, uuid: str, newcomer: Occupant) -> None:
        """An attempt starts here. Raises AssertionError if it must not."""
        device, now = self.by_uuid[uuid], self.clock.now()
        device.occupants = [one for one in device.occupants if not one.gone(now)]
        others = device.occupants
        elsewhere = [one for one in others if one.home != newcomer.home]
        assert not elsewhere, f"{uuid} of home {elsewhere[0].home} was given to home {newcomer.home}, too"
        share = sum(one.share for one in others) + newcomer.share
        assert share <= 10_000, f"{uuid} is given to attempt {newcomer.attempt} beside {others}"
        late = device.foreign and now - device.foreign_since > LOOKED_AT_LAST
        assert not late, f"attempt {newcomer.attempt} starts on {uuid} beside {device.foreign}"
        device.occupants.append(newcomer)

    def heal(self) -> None:
        """All are there and work, and no stranger is left."""
        for device in self.by_uuid.values():
            device.there, device.fault, device.foreign = True, "", ()


class HomeView:
    """The inventory of one home. `ours` says who holds which devices by right."""

    virtual = False
    absent_reason = ""

    def __init__(self, devices: Devices, home: int) -> None:
        self._devices = devices
        self._home = home
        self.ours: Callable[[], Collection[Holding]] = tuple

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        """Every device that is there, or those of these that are."""
        now = self._devices.clock.now()
        ours: dict[int, set[str]] = {}
        for holding in self.ours():
            for name in (holding.attempt, holding.named):
                ours.setdefault(name, set()).update(uuid for uuid, _ in holding.devices)
        found = self._devices.by_uuid.items()
        return tuple(
            self._seen(device, ours, now) for uuid, device in found if device.there and (uuids is None or uuid in uuids)
        )

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        """None: the simulation does not ask how busy devices are."""
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def _seen(self, device: TrueDevice, ours: Mapping[int, Collection[str]], now: int) -> DeviceSeen:
        plain = _plain(device.index)
        there = [one for one in device.occupants if not one.gone(now) and one.shows()]
        mine = [one.attempt for one in there if one.home == self._home]
        wronged = [one for one in there if one.home == self._home and one.stays() and not _is_given(one, plain, ours)]
        assert not wronged, f"{wronged} would be taken for somebody else's on {plain.uuid}: {ours}"
        strays = tuple(attempt for attempt in mine if attempt not in ours)
        trespassing = [attempt for attempt in mine if attempt in ours and plain.uuid not in ours[attempt]]
        others = [one.attempt for one in there if one.home != self._home and now - one.since >= SHOWS_UP_AFTER]
        named = [(pid, "was not given this device") for pid in trespassing] + [(pid, "another home") for pid in others]
        if not (there or device.foreign or device.fault):
            return plain
        foreign = (*device.foreign, *(Foreign(pid=pid, user="ben", name=name) for pid, name in named))
        usable = plain.vram_mib - sum(one.vram_mib for one in foreign)
        return seen(device.index, usable_mib=usable, foreign=foreign, strays=strays, fault=device.fault)


@cache
def _plain(index: int) -> DeviceSeen:
    """A device on which nothing is."""
    return seen(index)


def _is_given(one: Occupant, device: DeviceSeen, ours: Mapping[int, Collection[str]]) -> bool:
    return device.uuid in ours.get(one.attempt, ())


class Desk(DeviceDesk):
    """The engine's way to the devices, which samples nobody."""

    def connect(self, report: Report, deliver: Callable[..., None], *, failed: Callable[[BaseException], None]) -> None:
        """Say where events and errors go; before `start`."""
        super().connect(report, deliver, failed=failed)
        self._sampler = Sampler(self.inventory, clock=self._clock, deliver=deliver, failed=failed, pause=_for_ever)


async def _for_ever(_millis: int) -> None:
    await asyncio.get_running_loop().create_future()
