"""What the engine says when it cannot do what was asked. Each error carries what to tell a person and the exit code.

Only mistakes and states that a person can act on are here; a bug is left to raise as what it is.
"""

from __future__ import annotations

from passloop.kernel.events import Event, PoolOpened, QuarantineReleased

__all__ = [
    "EngineError",
    "EngineStopped",
    "NotAllowed",
    "NotFound",
    "OutOfFiles",
    "Refused",
    "Unwritable",
    "refusal_hint",
]


class EngineError(Exception):
    """The base: `code` is a word for programs, `message` says what is wrong, `hint` how to fix it."""

    code = "engine"
    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFound(EngineError):
    """Nothing has that id or name."""

    code = "not_found"
    exit_code = 3


class Refused(EngineError):
    """The request cannot be granted as it is; nothing was changed. `code` is that of the kernel's refusal."""

    def __init__(self, code: str, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.exit_code = {"never_fits": 7, "not_found": 3}.get(code, 2)


class NotAllowed(EngineError):
    """The caller may not do this."""

    code = "not_allowed"
    exit_code = 6


class Unwritable(EngineError):
    """The engine is paused because it cannot write; nothing new is acknowledged until it can."""

    code = "paused"
    exit_code = 5


class EngineStopped(EngineError):
    """The engine is going away and answers nothing more."""

    code = "stopped"
    exit_code = 5


class OutOfFiles(EngineError):
    """The system lets the engine open no more files than it has, too few to begin with."""

    code = "out_of_files"
    exit_code = 5


class Unanswered(EngineError):
    """A folder outside the home does not answer: its disk or the server of its files may be gone."""

    code = "unanswered"
    exit_code = 5


def refusal_hint(event: Event, code: str) -> str:
    """How to go on after the kernel refused this event."""
    if code == "never_fits":
        return "ask for less, add a smaller variant with --or, or keep it for later with --wait-for-capacity"
    if isinstance(event, PoolOpened):
        return "passloop pools"
    return "passloop gpus" if isinstance(event, QuarantineReleased) else "passloop ls"
