"""Homes as a killed engine leaves them, attempts as a killed shim does, and ways to damage what is in them.

In such a home the older half of what was committed is in the database and the newer half in its log, as after a
checkpoint. Its truth is what a whole copy of it says.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from passloop.drivers.base import LiveAttempt
from passloop.drivers.identity import boot_id
from passloop.drivers.processes.keeper.records import sealed
from passloop.kernel.changes import AttemptChanged, TaskChanged
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.store_rows import a_batch, a_submission, a_task, an_attempt, an_end

__all__ = ["PAGE", "TASKS", "copy_of", "flip", "killed_home", "leave_records", "lose_meta_of", "states_of"]

PAGE = 4_096
RUNS = 6
EACH = 20
TASKS = RUNS * EACH


def killed_home(folder: Path, *, backup: bool = False) -> tuple[Home, int]:
    """The home of an engine that was killed, and a page of its database that its log does not hold."""
    living = Home(folder / "living")
    living.prepare()
    store = Store.open(living)
    for run in range(1, RUNS + 1):
        store.commit(a_submission(EACH, run=run, first=(run - 1) * EACH + 1, payload='{"name": "some payload"}'))
        if run == RUNS // 2:
            store._writer.pragma("wal_checkpoint", "TRUNCATE")
            if backup:
                store.backup()
    _end_some(store)
    query = "SELECT pageno FROM dbstat WHERE name = 'durations' LIMIT 1"
    page = int(store._writer.execute(query).get)
    home = copy_of(living, folder / "home")
    store.close()
    shutil.rmtree(living.path)
    return home, page


def _end_some(store: Store) -> None:
    """Tasks 1 to 10 succeed, 11 runs."""
    store.commit(a_batch([AttemptChanged(an_attempt(n)) for n in range(1, 12)]))
    store.commit(a_batch([AttemptChanged(an_end(n)) for n in range(1, 11)]))
    ended = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "exit_code": 0, "ended_at": 2_000}
    done = [TaskChanged(a_task(n, attempts=1, **ended)) for n in range(1, 11)]
    store.commit(a_batch([*done, TaskChanged(a_task(11, attempts=1, state=TaskState.RUNNING))]))


def leave_records(live: LiveAttempt, *, ended: Mapping[str, object] | None = None, **began: object) -> None:
    """The records of an attempt: who began it, and how it ended if it did."""
    live.directory.mkdir(parents=True)
    identity = {"attempt": live.attempt, "epoch": live.epoch, "name": live.name}
    found = {"start.json": identity | {"boot": boot_id()} | began}
    if ended is not None:
        found["exit.json"] = identity | {**ended}
    for name, record in found.items():
        (live.directory / name).write_bytes(sealed(json.dumps(record).encode()))


def copy_of(home: Home, path: Path) -> Home:
    """A copy of a home at `path`, which must not be there."""
    shutil.copytree(home.path, path)
    path.chmod(0o700)
    return Home(path)


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def lose_meta_of(path: Path) -> None:
    """Flip a bit in the page of a database, written back from its log first, that says what the home is."""
    connection = open_writing(path)
    page = int(connection.execute("SELECT pageno FROM dbstat WHERE name = 'meta'").get)
    connection.close()
    flip(path, (page - 1) * PAGE + PAGE - 100)


def states_of(home: Home) -> dict[int, str]:
    """The state of every task. Raises what opening raises."""
    store = Store.open(home)
    try:
        return {int(task): str(state) for task, state in store.states_of(range(TASKS + 10)).items()}
    finally:
        store.close()
