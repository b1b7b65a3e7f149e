"""The attempts under way as committed: who holds what, in which process. It follows commits and sets nothing.

It is a view of what the store holds, kept so that a look at devices, a `down` and an exit need not ask the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from passloop.kernel.changes import AttemptChanged, Change, PoolChanged, TaskAdded, TaskChanged
from passloop.kernel.ids import AttemptId
from passloop.kernel.saved import Saved
from passloop.kernel.tasks import AttemptRow
from passloop.kernel.workers import WORKERS, Worker, kept_back_in, workers_in
from passloop.store.home import Home

__all__ = ["Attempts", "attempt_folder", "attempt_name", "attempt_path", "ended_in", "runs_of_tasks"]

ENDED = "ended"


def attempt_folder(home: Home, run: int, task: int, epoch: int) -> Path:
    """Where an attempt's logs, records and results are."""
    return Path(attempt_path(home, run, task, epoch))


def attempt_path(home: Home, run: int, task: int, epoch: int) -> str:
    """The path of an attempt's folder."""
    return f"{home.path}/runs/{run}/{task}/{epoch}"


def attempt_name(home_id: str, attempt: int) -> str:
    """An attempt's name, unique on the box: what its processes see as PASSLOOP_ATTEMPT_ID."""
    return f"{home_id}-{attempt}"


class Attempts:
    """The attempts that are not ended, by id, and the workers. Loop thread only, but for `rows` and `workers`."""

    __slots__ = ("_read", "_under_way", "_workers")

    def __init__(self) -> None:
        self._under_way: dict[AttemptId, AttemptRow] = {}
        self._workers = ""
        self._read: tuple[str, list[Worker], frozenset[int]] = ("", [], frozenset())

    def __len__(self) -> int:
        return len(self._under_way)

    def get(self, attempt: AttemptId) -> AttemptRow | None:
        """The attempt, unless it is ended or unknown."""
        return self._under_way.get(attempt)

    def rows(self) -> tuple[AttemptRow, ...]:
        """A snapshot of them all; may be taken from any thread."""
        return tuple(self._under_way.values())

    def workers(self) -> list[Worker]:
        """The workers that are not proven gone; may be asked from any thread."""
        return list(self._known()[1])

    def kept_back(self) -> frozenset[int]:
        """Attempts whose start waits until a worker is gone: nothing of them is there. May be asked from any thread."""
        return self._known()[2]

    def _known(self) -> tuple[str, list[Worker], frozenset[int]]:
        """What the text says of workers, read once for each text: every look at devices asks for it."""
        text, read = self._workers, self._read
        if read[0] is not text:
            read = self._read = (text, workers_in(text), kept_back_in(text)) if text else ("", [], frozenset())
        return read

    def load(self, saved: Saved) -> None:
        """Start from what the store holds."""
        self._workers = next((pool.state for pool in saved.pools if pool.kind == WORKERS), "")
        self._under_way = {row.id: row for row in saved.attempts}

    def follow(self, changes: Iterable[Change]) -> None:
        """Take over what a committed turn changed."""
        for change in changes:
            if type(change) is AttemptChanged:
                row = change.row
                if row.state == ENDED:
                    self._under_way.pop(row.id, None)
                else:
                    self._under_way[row.id] = row
            elif type(change) is PoolChanged and change.kind == WORKERS:
                self._workers = change.state


def runs_of_tasks(changes: Iterable[Change]) -> dict[int, int]:
    """The run of each task that a turn changed."""
    return {one.row.id: one.row.run for one in changes if type(one) is TaskChanged or type(one) is TaskAdded}


def ended_in(changes: Iterable[Change]) -> list[AttemptRow]:
    """The attempts that a turn ended."""
    return [one.row for one in changes if type(one) is AttemptChanged and one.row.ended_at is not None]
