"""The application's own word on why it failed: an `outcome.json` that it leaves in PASSLOOP_OUT.

Only a failure can be explained, and only by this file; log text is never read for it. A file that is not as told
here is passed over, so that a wrong word cannot make a failure anything better; the message says so.

    {"outcome": "out_of_memory", "message": "CUDA out of memory in layer 3"}      another variant may be tried
    {"outcome": "device_fault", "device": "GPU-...", "message": "Xid 79"}         the device is quarantined
    {"outcome": "failure", "final": true, "message": "no such data set"}          no retry would help
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from passloop.drivers.descriptors import lacks_descriptor
from passloop.kernel.tasks import Outcome, OutcomeKind

__all__ = ["explained", "storable_text"]

_LONGEST = 65_536
_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A link is not followed and a pipe not waited for: what lies there is the task's doing."""
_KINDS = {kind.value: kind for kind in (OutcomeKind.OUT_OF_MEMORY, OutcomeKind.DEVICE_FAULT, OutcomeKind.FAILURE)}

_PASSED_OVER = f"its outcome.json names none of {', '.join(_KINDS)}, and is passed over"


def explained(outcome: Outcome, directory: Path) -> Outcome:
    """The outcome of the attempt in `directory`, in the application's own words if it left any.

    Raises `OSError` for want of descriptors: that says nothing of what it left.
    """
    if outcome.kind is not OutcomeKind.FAILURE:
        return outcome
    word = _word(directory / "out" / "outcome.json")
    if word is None:
        return outcome
    kind = _KINDS.get(str(word.get("outcome")))
    if kind is None:
        return replace(outcome, message=f"{outcome.message} ({_PASSED_OVER})".lstrip())
    message, device = word.get("message"), word.get("device")
    return replace(
        outcome,
        kind=kind,
        message=storable_text(message[:1_000]) if isinstance(message, str) and message else outcome.message,
        device=storable_text(device) if isinstance(device, str) and kind is OutcomeKind.DEVICE_FAULT else None,
        final=word.get("final") is True,
    )


def storable_text(text: str) -> str:
    """`text` without what is no character: a record that was tampered with must not end the engine at each start."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _word(path: Path) -> dict[str, Any] | None:
    """What the file says; nothing if it is no JSON object, and None if it is not there."""
    try:
        with os.fdopen(os.open(path, _PLAIN), "rb") as file:
            text = file.read(_LONGEST + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
        found = json.loads(text) if len(text) <= _LONGEST else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, OSError) and lacks_descriptor(error):
            raise
        return {}
    return found if isinstance(found, dict) else {}
