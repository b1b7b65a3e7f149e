"""Which process is meant, for ever: a pid, its start ticks and the boot it belongs to. A recycled pid is
never signalled.

A signal goes through a descriptor of the process that was verified by its start ticks after it was opened.
Must never send to a bare pid.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .descriptors import lacks_descriptor

__all__ = [
    "Process",
    "boot_id",
    "open_process",
    "own_process",
    "process_from_json",
    "process_json",
    "send",
    "session_of",
    "ticks_of",
]

_DEAD = b"ZX"


@dataclass(frozen=True, slots=True)
class Process:
    """A process. `ticks` is its start in clock ticks since the boot called `boot`."""

    pid: int
    ticks: int
    boot: str


@cache
def boot_id() -> str:
    """The id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def process_json(process: Process) -> str:
    """`process` as the JSON text of `Started.process`."""
    return json.dumps({"pid": process.pid, "ticks": process.ticks, "boot": process.boot})


def process_from_json(text: str) -> Process:
    """The process a JSON text names; one that cannot exist if it names none."""
    fields = json.loads(text or "{}")
    return Process(int(fields.get("pid", 0)), int(fields.get("ticks", 0)), str(fields.get("boot", "")))


def ticks_of(pid: int) -> int | None:
    """Start ticks of the living process `pid`; None if there is none, or only a zombie. Raises `OSError` for want of
    descriptors.
    """
    fields = _stat(pid)
    if fields is None or fields[0] in _DEAD:
        return None
    return int(fields[19])


def session_of(pid: int) -> int | None:
    """The session the process `pid` belongs to, None if it is gone."""
    fields = _stat(pid)
    return None if fields is None else int(fields[3])


def own_process() -> Process:
    """This process."""
    pid = os.getpid()
    return Process(pid, ticks_of(pid) or 0, boot_id())


def open_process(process: Process) -> int | None:
    """A descriptor of `process`, readable when it ends; None if it is gone. The caller closes it.

    Raises `OSError` if nobody can tell, for want of descriptors: that it is gone must not be taken from that.
    """
    if process.boot != boot_id() or process.pid <= 0:
        return None
    try:
        held = os.pidfd_open(process.pid)
    except OSError as error:
        if lacks_descriptor(error):
            raise
        return None
    try:
        is_it = ticks_of(process.pid) == process.ticks
    except BaseException:
        os.close(held)
        raise
    if is_it:
        return held
    os.close(held)
    return None


def send(held: int, number: signal.Signals) -> None:
    """Send a signal to the process of descriptor `held`; nothing happens if it is gone."""
    try:
        signal.pidfd_send_signal(held, number)
    except ProcessLookupError:
        return


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError as error:
        if lacks_descriptor(error):
            raise
        return None
    return text[text.rindex(b")") + 2 :].split()
