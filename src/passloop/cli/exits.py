"""Exit codes, and the one error of the command line: what went wrong, how to fix it, and the code to end with.

It never prints; `main` does. Codes are documented in the reference and tested per verb.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CliError", "Exit"]


class Exit(IntEnum):
    """What an exit code of `passloop` means."""

    OK = 0
    WORK_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    STORE_DAMAGED = 4
    ENGINE_UNREACHABLE = 5
    NOT_ALLOWED = 6
    NEVER_FITS = 7
    BUG = 70
    TIME_LIMIT = 124
    INTERRUPTED = 130


class CliError(Exception):
    """A mistake or a state that a person can mend: `message` says what and where, `hint` the next command."""

    def __init__(self, message: str, *, hint: str, exit_code: int = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = int(exit_code)
