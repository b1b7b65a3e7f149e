"""Starting the daemon: a process of its own session that tells through a pipe when its socket answers.

It holds no lock and asks nothing of the home; the daemon does. It never waits by looking again.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from passloop.cli.client import Client
from passloop.cli.exits import CliError, Exit

__all__ = ["READY_FD", "client_with_engine", "daemon_log", "engine_environment", "start_daemon"]

READY_FD = 3
"""Where the daemon writes its one line about how the start went."""

_OF_AN_ATTEMPT = ("PASSLOOP_ATTEMPT_ID", "PASSLOOP_ATTEMPT", "PASSLOOP_TASK_ID", "PASSLOOP_OUT", "PASSLOOP_GPUS")


def client_with_engine(home: str, flags: dict[str, str | None]) -> Client:
    """A client of the home's engine; the daemon is started if there is none."""
    client = Client(home)
    if not client.alive():
        start_daemon(home, engine_environment(flags))
    return client


def engine_environment(flags: dict[str, str | None] | None = None) -> dict[str, str]:
    """The environment of an engine that this command starts: ours, without what marks an attempt's processes, with
    the settings of `flags` and files. Raises `SpecError` for a setting that cannot be.
    """
    from passloop.cli.configured import settings_here

    kept = {name: value for name, value in os.environ.items() if name not in _OF_AN_ATTEMPT}
    return kept | settings_here(flags).environment_of()


def daemon_log(home: str) -> str:
    """Where the daemon writes what it has to say."""
    return os.path.join(home, "daemon.log")


def start_daemon(home: str, environment: dict[str, str]) -> dict[str, Any]:
    """Start the daemon and return when its socket answers: `{"ready": true, "pid": ...}`.

    With `"found"` another engine was there first. Raises `CliError` with the daemon's own words if it cannot.
    """
    reading, writing = os.pipe()
    try:
        _spawn(home, environment, writing)
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        line = pipe.readline()
    if not line:
        raise _silent_death(home)
    answer: dict[str, Any] = json.loads(line)
    if not answer.get("ready"):
        raise CliError(answer["message"], hint=answer.get("hint", ""), exit_code=answer.get("exit", Exit.BUG))
    return answer


def _spawn(home: str, environment: dict[str, str], writing: int) -> int:
    """Start the process with its own session, nothing open but the pipe; its words go to stderr until it has a log."""
    arguments = [sys.executable, "-m", "passloop.cli.daemon", home]
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    if writing == READY_FD:
        os.set_inheritable(writing, True)
    else:
        actions.append((os.POSIX_SPAWN_DUP2, writing, READY_FD))
    return os.posix_spawn(sys.executable, arguments, environment, file_actions=actions, setsid=True)


def _silent_death(home: str) -> CliError:
    try:
        with open(daemon_log(home), encoding="utf-8", errors="replace") as log:
            last = log.read()[-400:].strip().splitlines()[-1:]
    except OSError:
        last = []
    said = f": {last[0]}" if last else ""
    return CliError(
        f"the daemon ended before it was ready{said}",
        hint=f"passloop serve (its log is {daemon_log(home)})",
        exit_code=Exit.ENGINE_UNREACHABLE,
    )
