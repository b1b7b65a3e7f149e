"""A server's own word on why it failed: `outcome.json` in PASSLOOP_OUT, as any program of a task may leave it.

It is a fact, where a log is only text, so it goes before what the log seems to say. It is read and never changed.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from .failures import TrialFailure, clean

__all__ = ["OUTCOME", "heed_own_word", "own_word"]

OUTCOME = "outcome.json"
LONGEST = 65_536
KINDS = {"out_of_memory": "out_of_memory", "device_fault": "device"}
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def own_word(folder: Path) -> dict[str, Any]:
    """What lies there; empty if it is nothing, or not to be taken."""
    try:
        with os.fdopen(os.open(folder / OUTCOME, PLAIN), "rb") as file:
            text = file.read(LONGEST + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
        found = json.loads(text) if len(text) <= LONGEST else None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def heed_own_word(failure: TrialFailure, folder: Path) -> TrialFailure:
    """The failure as the server itself explains it, if it does."""
    word = own_word(folder)
    kind = KINDS.get(str(word.get("outcome")))
    message = word.get("message")
    said = f"{failure.message}: {clean(message)}" if isinstance(message, str) and message else failure.message
    if kind is None and not word:
        return failure
    found = TrialFailure(kind or failure.kind, said, lines=failure.lines, final=failure.final)
    found.final = failure.final or word.get("final") is True
    return found
