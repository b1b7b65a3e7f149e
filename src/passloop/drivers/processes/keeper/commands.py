"""Start the command of an attempt and say in one sentence why one cannot be started.

The command gets its own process group, every signal at its default and none blocked, /dev/null as input and
the two log files as output. Must never go through a shell.
"""

from __future__ import annotations

import errno
import os
from signal import valid_signals

__all__ = ["PASSING", "CannotStartError", "enter", "resolve", "spawn"]

PASSING = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What the system says where no process, memory or descriptor is left: that passes, and says nothing of a command."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126

_DEFAULTS = [int(number) for number in valid_signals()]


class CannotStartError(Exception):
    """The command cannot be started; `exit_code` is what a shell would give, `sentence` says why and what to
    do.
    """

    def __init__(self, exit_code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.sentence = sentence


def enter(folder: bytes) -> None:
    """Make `folder` the working directory. Raises `OSError` for a want that passes."""
    try:
        os.chdir(folder)
    except OSError as error:
        if error.errno in PASSING:
            raise
        shown = os.fsdecode(folder)
        if isinstance(error, FileNotFoundError):
            text = f"working directory missing: {shown}; create it, or choose another with --cwd"
        else:
            text = f"working directory not usable: {shown}: {error.strerror}; choose another with --cwd"
        raise CannotStartError(NOT_EXECUTABLE, text) from None


def resolve(word: bytes, search: bytes) -> bytes:
    """The file to run for the command's first `word`, looked up in `search` (a PATH) unless it has a slash."""
    if not word:
        raise CannotStartError(NOT_FOUND, "command not found: its first word is empty; give the program to run")
    if b"/" in word:
        return word
    blocked = b""
    for folder in (search or os.fsencode(os.defpath)).split(b":"):
        path = os.path.join(folder or b".", word)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        if not blocked and os.path.isfile(path):
            blocked = path
    if blocked:
        return blocked
    name = os.fsdecode(word)
    raise CannotStartError(
        NOT_FOUND, f"command not found: {name} is in no directory of PATH; give its full path or extend PATH"
    )


def spawn(argv: list[bytes], environment: dict[bytes, bytes], *, out: int, err: int, limited: bool = False) -> int:
    """Run `argv` in the current directory with exactly `environment`; the pid of its process.

    Raises `OSError` for a want that passes. Of memory it does not where that is `limited` for this command.
    """
    path = resolve(argv[0], environment.get(b"PATH", b""))
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, b"/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out, 1),
        (os.POSIX_SPAWN_DUP2, err, 2),
    ]
    try:
        return os.posix_spawn(
            path, argv, environment, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_DEFAULTS
        )
    except OSError as error:
        if error.errno in PASSING and not (limited and error.errno == errno.ENOMEM):
            raise
        raise _refusal(path, error) from None


def _refusal(path: bytes, error: OSError) -> CannotStartError:
    shown = os.fsdecode(path)
    if error.errno == errno.ENOENT:
        if os.path.lexists(path):
            text = f"cannot run {shown}: the interpreter in its first line (#!) or its loader is missing"
            return CannotStartError(NOT_FOUND, text)
        return CannotStartError(NOT_FOUND, f"command not found: {shown} does not exist; check the path")
    if os.path.isdir(path):
        return CannotStartError(NOT_EXECUTABLE, f"not executable: {shown} is a directory; name a program in it")
    if error.errno == errno.EACCES:
        text = f"not executable: {shown}; run chmod +x on it, or put its interpreter before it"
    elif error.errno == errno.ENOEXEC:
        text = (
            f"not executable: {shown} has no #! line and is no program for this machine; put its interpreter before it"
        )
    elif error.errno == errno.E2BIG:
        text = f"cannot run {shown}: arguments and environment are too long; pass them in a file"
    else:
        text = f"cannot run {shown}: {error.strerror}"
    return CannotStartError(NOT_EXECUTABLE, text)
