"""A store that is used from its making on until a crash point ends it: `store_to_kill.py HOME`.

Prints one word for each step once it is acknowledged: `opened`, `committed`, `sampled`, `copied`, `removed`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from passloop.kernel.changes import AttemptChanged, TaskChanged
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.samples import Sample
from tests.support.store_rows import a_batch, a_submission, a_task, an_end

TASKS = 5
REMOVED = 1
SAMPLE = Sample(attempt=1, at=1_500, uuid="GPU-0", utilisation=5_000, memory_mib=1_024, power_mw=70_000)


def use(home: Home) -> None:
    """Commit tasks, end one with its samples, copy the store, and forget that task."""
    store = Store.open(home)
    tell("opened")
    store.commit(a_submission(TASKS))
    done = a_task(REMOVED, state=TaskState.SUCCEEDED, outcome=OutcomeKind.SUCCESS, exit_code=0, ended_at=2_000)
    store.commit(a_batch([TaskChanged(done), AttemptChanged(an_end(1))]))
    tell("committed")
    store.record_samples([SAMPLE])
    tell("sampled")
    store.backup()
    tell("copied")
    store.remove_tasks([REMOVED])
    tell("removed")
    store.close()


def tell(word: str) -> None:
    """At once: the next step may be the last."""
    print(word, flush=True)


if __name__ == "__main__":
    use(Home(Path(sys.argv[1])))
