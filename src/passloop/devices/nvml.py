"""The real devices of this machine, through NVML. Never guesses: what cannot be read is a fault or a missing
figure.

Devices are listed in PCI bus order, as CUDA numbers them with CUDA_DEVICE_ORDER=PCI_BUS_ID. A GPU in MIG mode
is no device; its instances are, and indexes count on through them. A GPU that breaks keeps its place and its
facts.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passloop.kernel.events import DeviceSeen

from .base import MIB, Reading, Sample
from .nvml_edge import DeviceFault, LibraryLost, Nvml
from .ownership import Ownership
from .topology import SYSFS, link_groups, numa_node

__all__ = ["NvmlInventory"]

DRIVER_RESERVE_MIB = 256
"""Use that nothing explains and that is not held against a device: what drivers keep beside what they
report.
"""
ROUGH_RESERVE_PERCENT = 1
"""Beside it, of the total, where the driver is too old to tell its own reserve apart."""

NO_GPU = "The NVIDIA driver runs but reports no GPU."
NO_INSTANCE = "All GPUs are in MIG mode and have no MIG instances; make some with nvidia-smi mig."


@dataclass(frozen=True, slots=True)
class _Place:
    """One GPU or MIG instance found in one pass. `handle` is None when it could not be opened, for
    `fault`.
    """

    handle: Any
    uuid: str
    bus_id: str
    fault: str = ""
    instance: bool = False


class NvmlInventory:
    """An `Inventory` of the real devices. NVML is opened at the first look, and again if it was lost."""

    virtual = False

    def __init__(self, *, ownership: Ownership | None = None, sysfs: Path = SYSFS) -> None:
        self._ownership = ownership or Ownership()
        self._sysfs = sysfs
        self._guard = threading.Lock()
        self._nvml: Nvml | None = None
        self._absent_reason = "NVML was not asked yet."
        self._found_at: dict[int, _Place] = {}
        self._known: dict[str, Reading] = {}
        self._links: tuple[frozenset[str], dict[str, str]] = (frozenset(), {})

    @property
    def absent_reason(self) -> str:
        return self._absent_reason

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        with self._guard:
            try:
                readings = self._read(self._opened(), uuids)
            except LibraryLost as lost:
                readings = self._all_lost(str(lost), uuids)
        return tuple(self._ownership.judge(reading) for reading in readings)

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        found: list[Sample] = []
        with self._guard:
            for uuid in uuids:
                try:
                    found.append(_sample(self._opened(), uuid))
                except (DeviceFault, LibraryLost):
                    continue
        return tuple(found)

    def close(self) -> None:
        with self._guard:
            self._shut()

    def _opened(self) -> Nvml:
        if self._nvml is None:
            self._nvml = Nvml()
        return self._nvml

    def _shut(self) -> None:
        if self._nvml is not None:
            self._nvml.close()
            self._nvml = None

    def _all_lost(self, reason: str, uuids: Collection[str] | None) -> list[Reading]:
        """NVML went away: what we knew is faulty, what we never knew does not exist."""
        self._shut()
        self._absent_reason = "" if self._known else reason
        faulty = [replace(reading, fault=reason) for reading in self._known.values()]
        return [reading for reading in faulty if uuids is None or reading.uuid in uuids]

    def _read(self, nvml: Nvml, uuids: Collection[str] | None) -> list[Reading]:
        places = self._places(nvml)
        groups = self._link_groups(nvml, places)
        readings = [
            self._reading(nvml, index, place, groups)
            for index, place in enumerate(places)
            if uuids is None or place.uuid in uuids
        ]
        for reading in readings:
            self._known.setdefault(reading.uuid, reading)
            if not reading.fault:
                self._known[reading.uuid] = reading
        if uuids is None:
            self._known = {reading.uuid: self._known[reading.uuid] for reading in readings}
        self._absent_reason = "" if places else self._why_none
        return readings

    def _places(self, nvml: Nvml) -> list[_Place]:
        """All devices in CUDA order. A GPU that cannot be opened is named by what was last known at its
        index.
        """
        places: list[_Place] = []
        count = nvml.count()
        for index in range(count):
            places.extend(self._places_at(nvml, index))
        self._why_none = NO_INSTANCE if count else NO_GPU
        return sorted(places, key=lambda place: (place.bus_id == "", place.bus_id))

    def _places_at(self, nvml: Nvml, index: int) -> list[_Place]:
        try:
            handle = nvml.handle(index)
            whole = _Place(handle, nvml.uuid(handle), nvml.bus_id(handle))
            self._found_at[index] = whole
            if not nvml.split(handle):
                return [whole]
            return [_Place(one, nvml.uuid(one), whole.bus_id, instance=True) for one in nvml.instances(handle)]
        except DeviceFault as fault:
            last = self._found_at.get(index, _Place(None, f"GPU-unreadable-{index}", ""))
            return [replace(last, handle=None, fault=str(fault))]

    def _link_groups(self, nvml: Nvml, places: Sequence[_Place]) -> dict[str, str]:
        """NVLink groups by bus id, read once for each set of devices."""
        whole = [place for place in places if not place.instance and place.bus_id]
        buses = frozenset(place.bus_id for place in whole)
        if buses == self._links[0]:
            return self._links[1]
        ends = {place.bus_id: _link_ends(nvml, place.handle) for place in whole}
        self._links = (buses, link_groups(ends))
        return self._links[1]

    def _reading(self, nvml: Nvml, index: int, place: _Place, groups: dict[str, str]) -> Reading:
        base = replace(
            self._known.get(place.uuid, Reading(place.uuid, index, "NVIDIA GPU", 0)),
            index=index,
            numa=numa_node(place.bus_id, self._sysfs),
            links=groups.get(place.bus_id, ""),
            fault=place.fault,
        )
        if place.fault:
            return base
        try:
            return _with_figures(nvml, place.handle, base)
        except DeviceFault as fault:
            return replace(base, fault=str(fault))


def _with_figures(nvml: Nvml, handle: Any, base: Reading) -> Reading:
    memory = nvml.memory(handle)
    total_mib = memory.total // MIB
    rough_mib = 0 if memory.exact else total_mib * ROUGH_RESERVE_PERCENT // 100
    return replace(
        base,
        name=nvml.name(handle),
        vram_mib=total_mib,
        used_mib=memory.used // MIB,
        reserve_mib=DRIVER_RESERVE_MIB + rough_mib,
        utilisation=nvml.utilisation(handle) or 0,
        compute=nvml.compute(handle),
        graphics=nvml.graphics(handle),
    )


def _link_ends(nvml: Nvml, handle: Any) -> frozenset[str]:
    if handle is None:
        return frozenset()
    try:
        return nvml.link_ends(handle)
    except DeviceFault:
        return frozenset()


def _sample(nvml: Nvml, uuid: str) -> Sample:
    handle = nvml.handle_of(uuid)
    memory = nvml.memory(handle)
    used_mib = memory.used // MIB if memory.total else None
    return Sample(uuid, nvml.utilisation(handle), used_mib, nvml.power_w(handle))
