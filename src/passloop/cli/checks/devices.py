"""Checks of devices: NVML and its driver, pretended GPUs, who else uses them, the folder of device locks."""

from __future__ import annotations

from passloop.cli.checks.finding import Check, Finding, Place, fail, ok, warn
from passloop.cli.wording import counted
from passloop.devices.errors import DeviceError
from passloop.devices.locks import LOCK_FOLDER_VARIABLE, device_locks
from passloop.devices.opening import open_inventory
from passloop.kernel.events import DeviceSeen

__all__ = ["DEVICE_CHECKS"]


def _gpus(place: Place) -> Finding:
    try:
        inventory = open_inventory(place.environment)
    except DeviceError as wrong:
        return fail(str(wrong), "passloop config")
    try:
        seen = inventory.look()
        reason = inventory.absent_reason
    finally:
        inventory.close()
    if not seen:
        return warn(f"no GPUs: {reason}", "tasks without GPUs run; try things with PASSLOOP_VIRTUAL_GPUS=4x80GiB")
    kind = "pretended GPUs (virtual)" if inventory.virtual else "GPUs through NVML"
    return _state_of(seen, f"{len(seen)} {kind}: {_names(seen)}")


def _state_of(seen: tuple[DeviceSeen, ...], text: str) -> Finding:
    faulty = [device for device in seen if device.fault]
    if faulty:
        return fail(f"{text}; {faulty[0].uuid}: {faulty[0].fault}", "passloop gpus")
    used = [device for device in seen if device.foreign]
    if used:
        return warn(f"{text}; {counted(len(used), 'of them')} used by others", "passloop gpus")
    return ok(text)


def _names(seen: tuple[DeviceSeen, ...]) -> str:
    return ", ".join(dict.fromkeys(f"{device.name} ({device.vram_mib / 1024:.0f} GiB)" for device in seen))


def _locks(place: Place) -> Finding:
    try:
        locks = device_locks("doctor", place.environment, virtual=False)
    except DeviceError as refused:
        return fail(str(refused), f"name another folder in {LOCK_FOLDER_VARIABLE}")
    if locks is None:
        return ok("no locks are needed")
    locks.close()
    return ok("other homes on this box are kept off our GPUs by locks")


DEVICE_CHECKS = (Check("gpus", _gpus), Check("device locks", _locks))
