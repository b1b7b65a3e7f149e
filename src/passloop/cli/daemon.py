"""The daemon's process: `python -m passloop.cli.daemon HOME`, started by `launching.start_daemon`.

It tells through descriptor 3, in one line, whether it came up; from then on its words go to `daemon.log` in the home.
The umask stays that of the starter, for what tasks write; files of the home have modes of their own, whatever it is.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from passloop.cli.exits import CliError, Exit
from passloop.cli.launching import READY_FD, daemon_log
from passloop.cli.next_engine import once_free
from passloop.cli.serving import serve

__all__ = ["main"]

_LARGEST_LOG = 4 * 2**20


def main(home: str) -> int:
    """Be the engine of `home` until told to go down."""
    os.chdir("/")
    os.set_inheritable(READY_FD, False)
    try:
        if once_free(home, lambda: _serve(home)) is None:
            _tell({"ready": True, "found": True})
    except Exception as error:
        return _failed(error)
    return int(Exit.OK)


def _serve(home: str) -> bool:
    serve(home, dict(os.environ), on_ready=lambda: _ready(home))
    return True


def _ready(home: str) -> None:
    _open_log(home)
    _tell({"ready": True, "pid": os.getpid()})


def _failed(error: Exception) -> int:
    """Say why there is no daemon."""
    told = _as_cli_error(error)
    if told.exit_code == Exit.BUG:
        traceback.print_exception(error)
    print(f"passloop: the engine ended: {told.message}", file=sys.stderr, flush=True)
    _tell({"ready": False, "message": told.message, "hint": told.hint, "exit": told.exit_code})
    return told.exit_code


def _as_cli_error(error: Exception) -> CliError:
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        message = str(getattr(error, "message", "") or error)
        return CliError(message, hint=str(getattr(error, "hint", "")), exit_code=code)
    from passloop.cli.crash import write_crash

    return write_crash(error, ["daemon"])


def _tell(answer: dict[str, Any]) -> None:
    """One line to whoever started us; after that the pipe is closed, and further calls tell nobody."""
    try:
        os.write(READY_FD, json.dumps(answer).encode() + b"\n")
        os.close(READY_FD)
    except OSError:
        return


def _open_log(home: str) -> None:
    """Let stdout and stderr be the log, which starts anew when it has become large."""
    path = daemon_log(home)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    log = os.open(path, flags, 0o600)
    if os.fstat(log).st_size > _LARGEST_LOG:
        os.ftruncate(log, 0)
    sys.stdout.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
