"""The locks by which a process that holds GPUs keeps other homes off them, whether or not its engine lives.

They last as long as the process, and as what it left behind of itself; the engine's own end with the engine. They give
no GPU away: that is the engine's, which holds its own lock when it says that a lease has begun.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from passloop.devices.errors import DeviceError
from passloop.devices.locks import DECIDING, DeviceLocks

from .errors import PassloopError

__all__ = ["lock_gpus"]

MOST_TRIES = 20
"""How often one is tried that another engine decides about just now; each try waits a quarter of a second for it."""


def lock_gpus(folder: str, home_id: str, uuids: Iterable[str]) -> DeviceLocks:
    """Lock all of them for this home, or raise `PassloopError`. Blocks while another engine decides about one."""
    try:
        locks = DeviceLocks(home_id, Path(folder), forked_too=True)
    except (DeviceError, ValueError) as wrong:
        raise _refused("the GPUs", str(wrong)) from wrong
    for uuid in uuids:
        why = _why_not_locked(locks, uuid)
        if why:
            locks.close()
            raise _refused(uuid, why)
    return locks


def _why_not_locked(locks: DeviceLocks, uuid: str) -> str:
    """Lock one; "" if it is."""
    for _ in range(MOST_TRIES):
        descriptor = locks.take(uuid)
        if descriptor is not None:
            os.set_inheritable(descriptor, True)  # a lease lasts where its holder becomes another program (exec)
            return ""
        other = locks.taken_elsewhere(uuid)
        if other is not None and other.trouble != DECIDING:
            return other.trouble or f"passloop home {other.home_id} ({other.user}) has it"
    return DECIDING


def _refused(what: str, why: str) -> PassloopError:
    message = f"this process cannot keep {what} from other homes, so the lease was given back: {why}"
    return PassloopError(message, hint="passloop gpus", code="lease_ended")
