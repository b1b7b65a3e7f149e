"""A home with many tasks in its store, done ones and queued ones, as the engine would have committed them.

The queued ones ask for a GPU and the first of them sleeps on the only one there is, so that the others stay queued.
"""

from __future__ import annotations

import json
from pathlib import Path

from passloop.kernel.changes import AttemptChanged, Change, TaskAdded
from passloop.kernel.events import Submitted
from passloop.kernel.resources import CPU, Allocation
from passloop.kernel.tasks import AttemptRow, NewTask, Outcome, OutcomeKind, TaskRow, TaskState
from passloop.store.database import Store
from passloop.store.home import Home

from .builders import ask, spec_of
from .store_rows import a_batch, a_run, a_task, an_attempt

__all__ = ["fill"]

DONE = spec_of(ask(cpus=1), task_class="train", program="train.py")
QUEUED = spec_of(ask(gpus=1), task_class="train", program="train.py", grace=0)
ALLOCATION = Allocation(variant=0, amounts=((CPU, 1_000),))
PROCESS = '{"pid":123456,"ticks":123456789,"boot":"0e3f5b57-6c1c-4f8e-9b0a-3a9d8a3b2f11"}'


def fill(path: Path, *, done: int, queued: int, a_run_of: int = 1_000) -> Home:
    """Make a home at `path` with so many tasks, `a_run_of` of them in each run and commit."""
    home = Home(path)
    home.prepare()
    store = Store.open(home)
    first, run = 1, 1
    for state, count in ((TaskState.SUCCEEDED, done), (TaskState.READY, queued)):
        for at in range(0, count, a_run_of):
            size = min(a_run_of, count - at)
            _commit(store, first, size, run, state=state, sleeps=at == 0)
            first, run = first + size, run + 1
    store.close()
    return home


def _commit(store: Store, first: int, size: int, run: int, *, state: TaskState, sleeps: bool) -> None:
    ended = state is TaskState.SUCCEEDED
    spec = DONE if ended else QUEUED
    rows = [_done(first + n, run, n) if ended else a_task(first + n, run=run, index=n) for n in range(size)]
    payloads = [_payload(row, sleeps=sleeps and row.index == 0) for row in rows]
    changes: list[Change] = [a_run(run)]
    changes += [TaskAdded(row, spec, payload, ()) for row, payload in zip(rows, payloads, strict=True)]
    if ended:
        changes += [AttemptChanged(_attempt(row)) for row in rows]
    new = tuple(NewTask(spec, payload=payload, index=n) for n, payload in enumerate(payloads))
    store.commit(a_batch(changes, Submitted(f"run-{run}", new), first_ids=(run, first, first)))


def _done(task: int, run: int, index: int) -> TaskRow:
    times = {"started_at": 1_000, "ended_at": 2_000}
    end = {"outcome": OutcomeKind.SUCCESS, "exit_code": 0, "attempts": 1}
    return a_task(task, run=run, index=index, state=TaskState.SUCCEEDED, **times, **end)


def _attempt(row: TaskRow) -> AttemptRow:
    outcome = Outcome(OutcomeKind.SUCCESS, 0)
    return an_attempt(row.id, state="ended", ended_at=2_000, allocation=ALLOCATION, process=PROCESS, outcome=outcome)


def _payload(row: TaskRow, *, sleeps: bool) -> str:
    words = ["python", "/srv/projects/train.py", "--fold", str(row.id), "--lr", "0.001"]
    about = {"index": row.index, "line": None, "params": {"fold": row.id, "lr": 0.001}}
    place = {"cwd": "/", "environment": "e" * 64, "env": {}}
    return json.dumps({"name": "train.py", "command": ["sleep", "900"] if sleeps else words, **place, **about})
