"""Tasks that a dataset or a study goes on from: what a model answered and what a trial measured are in the store alone,
and once forgotten are asked for, and paid for, again where they are wanted. So a broad `rm` leaves them. A matrix keeps
its results in its own folder, and loses nothing. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from passloop.kernel.tasks import FINAL_STATES, TaskState
from passloop.store.filters import TaskFilter
from passloop.store.reader import Reader

from .selectors import Selection

__all__ = ["GO_ON", "PAID_AGAIN", "WHY_LEFT", "KeptResults", "is_named"]

GO_ON = ("generate", "tune")
"""The kinds of runs of which it is so."""
WHY_LEFT = "a dataset or a study goes on from its result; to forget it name its run (@RUN) or its id, or add --answers"
PAID_AGAIN = "answers of datasets or results of studies: they are asked for, and paid for, again where they are wanted"

_NOT_LOST = tuple(state.value for state in TaskState if state not in FINAL_STATES or state is TaskState.SUCCEEDED)
_FILES = "generate:files:*"
"""The keys of tasks that write files from results: they stay with these, and are none themselves."""


class KeptResults(NamedTuple):
    """Tasks to leave, and those among them that have a result, or may have one before they are removed."""

    tasks: frozenset[int]
    results: frozenset[int]

    @classmethod
    def among(cls, tasks: Iterable[int], reader: Reader) -> KeptResults:
        """Those among these tasks."""
        runs = tuple(run for kind in GO_ON for run in reader.sources_of_kind(kind))
        if not runs:
            return cls(frozenset(), frozenset())
        kept = frozenset(reader.task_ids(TaskFilter(runs=runs, states=_NOT_LOST))) & frozenset(tasks)
        return cls(kept, kept - frozenset(reader.task_ids(TaskFilter(runs=runs, keys=(_FILES,)))))


def is_named(selection: Selection) -> bool:
    """Whether a selection names tasks or runs, rather than whatever meets a condition."""
    return bool(selection.ids or selection.last or selection.runs)
