"""Devices that exist only in a setting (PASSLOOP_VIRTUAL_GPUS=4x80GiB): for trying out, tests and CI.

They are never more than that: every `DeviceSeen` from here says `virtual`. What real devices suffer can be
put on them, by the methods or by a JSON file named in PASSLOOP_VIRTUAL_FOREIGN, which is read at every look:

    {"GPU-virtual-0": {"foreign": [{"pid": 4242, "user": "ann", "name": "train", "vram_mib": 1024}],
                       "processes": [4243], "strays": [7], "fault": "", "gone": false}}

`foreign` are foreign as told; `processes` are real pids whose ownership is looked up as on a real device.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from passloop.kernel.events import DeviceSeen, Foreign

from .base import ProcessUse, Reading, Sample
from .errors import BadDeviceSetting
from .ownership import Ownership

__all__ = ["FOREIGN_VARIABLE", "VARIABLE", "VirtualInventory", "parse_virtual"]

VARIABLE = "PASSLOOP_VIRTUAL_GPUS"
FOREIGN_VARIABLE = "PASSLOOP_VIRTUAL_FOREIGN"

FORM = "write COUNTxSIZE such as 4x80GiB, several with commas (2x80GiB,2x24GiB), or 0 for no GPUs"
PART = re.compile(r"([0-9]{1,9})\s*[xX×*]\s*([0-9]{1,12})\s*([A-Za-z]*)")
UNITS = {"mib": 1, "gib": 1024, "tib": 1024 * 1024}
MOST_DEVICES = 1024
LARGEST_MIB = 1 << 30


def parse_virtual(text: str, *, setting: str = VARIABLE) -> tuple[int, ...]:
    """The VRAM in MiB of each virtual device. Raises `BadDeviceSetting`, which shows the right form."""
    if text.strip() == "0":
        return ()
    sizes: list[int] = []
    for part in text.split(","):
        count, mib = _count_and_size(part.strip(), text, setting)
        if len(sizes) + count > MOST_DEVICES:
            raise BadDeviceSetting(setting, text, f"more than {MOST_DEVICES} devices", "ask for fewer")
        sizes.extend([mib] * count)
    return tuple(sizes)


def _count_and_size(part: str, text: str, setting: str) -> tuple[int, int]:
    match = PART.fullmatch(part)
    if match is None:
        why = f"{part!r} is not a count and a size" if part else "a part is empty"
        raise BadDeviceSetting(setting, text, why, FORM)
    count, size, unit = int(match[1]), int(match[2]), match[3].lower()
    if unit not in UNITS:
        why = f"{match[3]!r} is not a unit of size" if unit else f"the size {size} has no unit"
        raise BadDeviceSetting(setting, text, why, "use GiB or MiB, as in 4x80GiB")
    mib = size * UNITS[unit]
    if count < 1 or not 1 <= mib <= LARGEST_MIB:
        why = "the count is 0" if count < 1 else "the size is not between 1 MiB and 1 PiB"
        raise BadDeviceSetting(setting, text, why, FORM)
    return count, mib


@dataclass(frozen=True, slots=True)
class _Injected:
    foreign: tuple[Foreign, ...] = ()
    processes: tuple[int, ...] = ()
    strays: tuple[int, ...] = ()
    fault: str = ""
    gone: bool = False


NOTHING = _Injected()


class VirtualInventory:
    """An `Inventory` of virtual devices with these sizes in MiB, named GPU-virtual-0, GPU-virtual-1, ...

    Raises `BadDeviceSetting` when `foreign_file` cannot be read now; when that happens later, the devices are
    faulty.
    """

    virtual = True

    def __init__(
        self, sizes: Sequence[int], *, ownership: Ownership | None = None, foreign_file: Path | None = None
    ) -> None:
        self._ownership = ownership or Ownership()
        self._foreign_file = foreign_file
        self._guard = threading.Lock()
        self._injected: dict[str, _Injected] = {}
        self._readings = tuple(
            Reading(f"GPU-virtual-{index}", index, f"Virtual GPU {mib} MiB", mib, virtual=True)
            for index, mib in enumerate(sizes)
        )
        self._known = frozenset(reading.uuid for reading in self._readings)
        self._read_file()

    @property
    def absent_reason(self) -> str:
        return "" if self._readings else f"{VARIABLE}=0 says that there are none."

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        try:
            from_file = self._read_file()
        except BadDeviceSetting as error:
            from_file = dict.fromkeys(self._known, _Injected(fault=str(error)))
        seen: list[DeviceSeen] = []
        for reading in self._readings:
            if uuids is not None and reading.uuid not in uuids:
                continue
            put = [from_file.get(reading.uuid, NOTHING), self._put_by_method(reading.uuid)]
            if not any(one.gone for one in put):
                seen.append(self._ownership.judge(_with(reading, put)))
        return tuple(seen)

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        return tuple(Sample(uuid, 0, 0, None) for uuid in uuids if uuid in self._known)

    def close(self) -> None:
        """Nothing is open."""

    def put_foreign(self, uuid: str, *foreign: Foreign) -> None:
        """From now on exactly these foreign processes are on the device."""
        self._change(uuid, foreign=foreign)

    def put_processes(self, uuid: str, *pids: int) -> None:
        """From now on exactly these real processes are on the device; whose they are is looked up."""
        self._change(uuid, processes=pids)

    def put_strays(self, uuid: str, *attempts: int) -> None:
        """From now on exactly these ended attempts of ours still hold the device."""
        self._change(uuid, strays=attempts)

    def break_down(self, uuid: str, fault: str) -> None:
        """From now on the device cannot be used; an empty `fault` repairs it."""
        self._change(uuid, fault=fault)

    def vanish(self, uuid: str) -> None:
        """From now on the device is not there."""
        self._change(uuid, gone=True)

    def bring_back(self, uuid: str) -> None:
        """The device is there again, with what was put on it."""
        self._change(uuid, gone=False)

    def _change(self, uuid: str, **changes: Any) -> None:
        if uuid not in self._known:
            raise KeyError(uuid)
        with self._guard:
            self._injected[uuid] = replace(self._injected.get(uuid, NOTHING), **changes)

    def _put_by_method(self, uuid: str) -> _Injected:
        with self._guard:
            return self._injected.get(uuid, NOTHING)

    def _read_file(self) -> Mapping[str, _Injected]:
        if self._foreign_file is None or not self._foreign_file.exists():
            return {}
        try:
            content = json.loads(self._foreign_file.read_text(encoding="utf-8"))
            return {uuid: _injected(entry) for uuid, entry in content.items()}
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            fix = 'make it like {"GPU-virtual-0": {"foreign": [{"pid": 1, "vram_mib": 1024}]}}'
            raise BadDeviceSetting(FOREIGN_VARIABLE, str(self._foreign_file), str(error), fix) from error


def _injected(entry: Mapping[str, Any]) -> _Injected:
    return _Injected(
        foreign=tuple(
            Foreign(
                int(one["pid"]),
                str(one.get("user", "")),
                str(one.get("name", "")),
                int(one.get("vram_mib", 0)),
            )
            for one in entry.get("foreign", ())
        ),
        processes=tuple(int(pid) for pid in entry.get("processes", ())),
        strays=tuple(int(attempt) for attempt in entry.get("strays", ())),
        fault=str(entry.get("fault", "")),
        gone=bool(entry.get("gone", False)),
    )


def _with(reading: Reading, put: Sequence[_Injected]) -> Reading:
    return replace(
        reading,
        told=tuple(foreign for one in put for foreign in one.foreign),
        compute=tuple(ProcessUse(pid) for one in put for pid in one.processes),
        strays=tuple(attempt for one in put for attempt in one.strays),
        fault=next((one.fault for one in put if one.fault), ""),
    )
