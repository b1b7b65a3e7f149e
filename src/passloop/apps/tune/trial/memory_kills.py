"""Whether the kernel killed for want of memory while a trial ran: its own count, before and after.

The count is of the whole machine, so it says why a server that was killed is likely gone, and no outcome follows from
it: where the task has a limit of memory, the shim over it knows for certain.
"""

from __future__ import annotations

import signal
from pathlib import Path

from .failures import TrialFailure

__all__ = ["heed_memory_kill", "memory_kills"]

VMSTAT = Path("/proc/vmstat")
COUNT = "oom_kill "


def memory_kills(path: Path = VMSTAT) -> int:
    """How many processes the kernel has killed for want of memory; 0 where it does not tell."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(COUNT)), 0)


def heed_memory_kill(failure: TrialFailure, before: int, now: int) -> TrialFailure:
    """The failure as one of memory, if the server was killed and the kernel killed somebody for want of it."""
    if failure.end is None or failure.end.signal != signal.SIGKILL or now <= before:
        return failure
    message = f"{failure.message}; the kernel killed a process for want of memory meanwhile"
    return TrialFailure("out_of_memory", message, lines=failure.lines, final=failure.final, memory=failure.memory)
