"""The crash points of the keeper's processes: a bare interpreter cannot load `passloop.crashpoints`, which lists them.

It never does anything unless `PASSLOOP_CRASHPOINT` names the place that is reached: the launcher hands the variable on
where the engine has it. What an attempt runs never sees it.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["crashpoint"]

_place, _, _rest = os.environ.get("PASSLOOP_CRASHPOINT", "").partition(":")
_nth, _, _told = _rest.partition(":")
_left = [int(_nth or 1)]


def crashpoint(name: str) -> None:
    """Die of SIGKILL here if the environment asks for this place; `name:3` means the third time in this process, and
    `name:3:PATH` that a pipe is told the name and the pid.
    """
    sys.audit("passloop.crashpoint", name)
    if name != _place:
        return
    _left[0] -= 1
    if _left[0] > 0:
        return
    try:
        if _told:
            os.write(os.open(_told, os.O_WRONLY | os.O_NONBLOCK), f"{name} {os.getpid()}\n".encode())
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
