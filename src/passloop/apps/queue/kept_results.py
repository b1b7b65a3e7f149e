"""Tasks that a dataset or a study goes on from: what a model answered and what a trial measured are in the store alone,
and once forgotten are asked for, and paid for, again where they are wanted; what failed tries cost, and what a trial
ran out of, is known by them alone. So a broad `rm` leaves them. A matrix keeps its results in its own folder, and loses
nothing. Reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from passloop.kernel.tasks import FINAL_STATES, TaskState
from passloop.store.reader import Reader

from .selectors import Selection

__all__ = ["GO_ON", "PAID_AGAIN", "WHY_LEFT", "KeptResults", "is_kept", "is_named"]

GO_ON = ("generate", "tune")
"""The kinds of runs of which it is so."""
WHY_LEFT = (
    "a dataset or a study goes on from what came of it, and counts what it cost; to forget it name its run (@RUN) or "
    "its id, or add --answers"
)
PAID_AGAIN = (
    "answers or tries of datasets or studies: they are asked for, and paid for, again where they are wanted, and what "
    "they cost is counted no more"
)

_FILES = "generate:files:"
"""How the keys begin of tasks that write files from results: they stay with these, and are none themselves."""
_AT_ONCE = 10_000


class KeptResults(NamedTuple):
    """Tasks to leave, and those among them that have a result, or may have one before they are removed."""

    tasks: frozenset[int]
    results: frozenset[int]

    @classmethod
    def among(cls, tasks: Sequence[int], reader: Reader) -> KeptResults:
        """Those among these tasks."""
        kept: set[int] = set()
        results: set[int] = set()
        for at in range(0, len(tasks), _AT_ONCE):
            for found in reader.tasks_from(GO_ON, tasks[at : at + _AT_ONCE]):
                if is_kept(found.state, attempts=found.attempts, key=found.key):
                    kept.add(found.task)
                    results.update(() if _writes_files(found.key) else (found.task,))
        return cls(frozenset(kept), frozenset(results))


def is_kept(state: str, *, attempts: int, key: str | None) -> bool:
    """Whether a task of a dataset or a study has come to something, or may still: it was tried, however it ended. Of
    tasks that write files only those that did.
    """
    if state == TaskState.SUCCEEDED or state not in FINAL_STATES:
        return True
    return attempts > 0 and not _writes_files(key)


def _writes_files(key: str | None) -> bool:
    return key is not None and key.startswith(_FILES)


def is_named(selection: Selection) -> bool:
    """Whether a selection names tasks or runs, rather than whatever meets a condition."""
    return bool(selection.ids or selection.last or selection.runs)
