"""What an inventory of devices is, and the plain facts that one reports. No policy: who is vetoed is the
kernel's.

A `Reading` is what a device says of itself; `ownership.py` turns it into the `DeviceSeen` that the kernel is
given.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from passloop.kernel.events import DeviceSeen, Foreign

__all__ = ["MIB", "Inventory", "ProcessUse", "Reading", "Sample"]

MIB = 1 << 20
"""Bytes in one MiB."""


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process on a device. `used_mib` is None where the device does not say."""

    pid: int
    used_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device says of itself. VRAM in MiB, utilisation in percent.

    `used_mib` is all VRAM in use. `reserve_mib` is the part of it that may be the driver's own and is held
    against nobody. `compute` and `graphics` are the processes seen, `told` are foreign processes known
    without asking.
    """

    uuid: str
    index: int
    name: str
    vram_mib: int
    used_mib: int = 0
    reserve_mib: int = 0
    utilisation: int = 0
    compute: tuple[ProcessUse, ...] = ()
    graphics: tuple[ProcessUse, ...] = ()
    told: tuple[Foreign, ...] = ()
    strays: tuple[int, ...] = ()
    fault: str = ""
    numa: int = -1
    links: str = ""
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """How busy a device was. Percent, MiB and W; None where the device does not say."""

    uuid: str
    utilisation: int | None
    memory_mib: int | None
    power_w: int | None


class Inventory(Protocol):
    """Reads the devices of this machine. Its methods may block for a while and may be called from any
    thread.
    """

    virtual: bool
    """True when the devices exist only in a setting."""

    @property
    def absent_reason(self) -> str:
        """Why there are no devices, in one plain sentence; empty when there are some."""
        ...

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        """Every device, in CUDA order (by PCI bus), with who uses it; with `uuids` only those of them that
        exist.

        Never raises for a device: one that cannot be read is reported with its `fault`.
        """
        ...

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        """How busy these devices are now. A device that is gone or faulty is left out."""
        ...

    def close(self) -> None:
        """Let go of what is open. Closing twice is allowed; a later `look` opens again."""
        ...
