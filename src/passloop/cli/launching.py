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

_OF_AN_ATTEMPT = (
    *("PASSLOOP_ATTEMPT_ID", "PASSLOOP_ATTEMPT", "PASSLOOP_TASK_ID", "PASSLOOP_IDEMPOTENCY_KEY"),
    *("PASSLOOP_OUT", "PASSLOOP_GPUS"),
)


def client_with_engine(home: str, flags: dict[str, str | None]) -> Client:
    """A client of the home's engine; the daemon is started if there is none. One that runs keeps its settings, and
    the user is told if `flags` are others.
    """
    client = Client(home)
    if not client.alive():
        start_daemon(home, engine_environment(flags))
    elif any(flags.values()):
        from passloop.cli.differing import say_differing

        say_differing(client.get("/status")["engine"], flags, only_flags=True)
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
    last_words = os.memfd_create("passloop-daemon-stderr")
    with open(last_words, "r+b") as told, open(reading, encoding="utf-8") as pipe:
        try:
            _spawn(home, environment, writing, told.fileno())
        finally:
            os.close(writing)
        line = pipe.readline()
        if not line:
            told.seek(0)
            raise _silent_death(told.read())
    answer: dict[str, Any] = json.loads(line)
    if not answer.get("ready"):
        raise CliError(answer["message"], hint=answer.get("hint", ""), exit_code=answer.get("exit", Exit.BUG))
    return answer


def _spawn(home: str, environment: dict[str, str], writing: int, told: int) -> int:
    """Start the process with its own session. What it says before it has its log goes to `told`."""
    arguments = [sys.executable, "-m", "passloop.cli.daemon", home]
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, told, 1),
        (os.POSIX_SPAWN_DUP2, told, 2),
    ]
    if writing == READY_FD:
        os.set_inheritable(writing, True)
    else:
        actions.append((os.POSIX_SPAWN_DUP2, writing, READY_FD))
    return os.posix_spawn(sys.executable, arguments, environment, file_actions=actions, setsid=True)


def _silent_death(told: bytes) -> CliError:
    """It ended before it could say why; what Python said is kept in a file."""
    from passloop.cli.crash import write_words

    words = told.decode("utf-8", "replace").strip()
    last = words.splitlines()[-1:] or ["it said nothing"]
    return CliError(
        f"the daemon ended before it was ready ({last[0][:200]}); {write_words(words, 'daemon')}",
        hint="passloop serve, to see it in the foreground",
        exit_code=Exit.ENGINE_UNREACHABLE,
    )
