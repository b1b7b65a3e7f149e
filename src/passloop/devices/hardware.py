"""What the devices of a measurement are: driver, names, clocks, power limits. For provenance; nothing decides by it.

What NVML does not tell is left out. Never raises for a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pynvml

from .nvml_edge import DeviceFault, LibraryLost, Nvml

__all__ = ["hardware_facts"]

CLOCKS = {"sm": pynvml.NVML_CLOCK_SM, "memory": pynvml.NVML_CLOCK_MEM}


def hardware_facts(uuids: Sequence[str]) -> dict[str, Any]:
    """The driver's version and, for each device, its name, clocks (MHz, now and at most) and power limit (W).

    Opens NVML and closes it again; a machine without it has no facts.
    """
    try:
        nvml = Nvml()
    except LibraryLost:
        return {}
    try:
        driver = nvml.figure(None, pynvml.nvmlSystemGetDriverVersion)
        devices = {uuid: _of_device(nvml, uuid) for uuid in uuids}
        return _told({"driver": _text(driver), "devices": _told(devices)})
    except LibraryLost:
        return {}
    finally:
        nvml.close()


def _of_device(nvml: Nvml, uuid: str) -> dict[str, Any] | None:
    try:
        handle = nvml.handle_of(uuid)
        limit = nvml.figure(None, pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        clocks = {name: nvml.figure(None, pynvml.nvmlDeviceGetClockInfo, handle, kind) for name, kind in CLOCKS.items()}
        most = {
            name: nvml.figure(None, pynvml.nvmlDeviceGetMaxClockInfo, handle, kind) for name, kind in CLOCKS.items()
        }
        return _told(
            {
                "name": nvml.name(handle),
                "clocks_mhz": _told(clocks),
                "most_clocks_mhz": _told(most),
                "power_limit_w": None if limit is None else (limit + 500) // 1000,
            }
        )
    except DeviceFault:
        return None


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts that there are."""
    return {name: value for name, value in facts.items() if value not in (None, {})}


def _text(value: str | bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
