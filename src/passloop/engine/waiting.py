"""Who waits for tasks to become final. Woken by commits, never by a look at the clock or the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from passloop.kernel.changes import Change, TaskAdded, TaskChanged
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import FINAL_STATES

__all__ = ["Waiting"]


class _Waiter:
    """One wait: the tasks that are still not final, and the future of the end."""

    __slots__ = ("done", "left")

    def __init__(self, left: set[TaskId]) -> None:
        self.left = left
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Waiting:
    """Waiters by task. All methods are called on the loop thread."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: dict[TaskId, set[_Waiter]] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def expect(self, tasks: Iterable[TaskId]) -> _Waiter:
        """Begin to wait. Do it before looking whether they are final already, so that no end falls between."""
        waiter = _Waiter(set(tasks))
        for task in waiter.left:
            self._waiters.setdefault(task, set()).add(waiter)
        if not waiter.left:
            waiter.done.set_result(None)
        return waiter

    def note_final(self, tasks: Iterable[TaskId]) -> None:
        """These tasks are final, and it is committed."""
        for task in tasks:
            for waiter in self._waiters.pop(task, ()):
                waiter.left.discard(task)
                if not waiter.left and not waiter.done.done():
                    waiter.done.set_result(None)

    def note(self, changes: Iterable[Change]) -> None:
        """A committed turn made these changes."""
        if self._waiters:
            self.note_final(
                TaskId(change.row.id)
                for change in changes
                if isinstance(change, TaskChanged | TaskAdded) and change.row.state in FINAL_STATES
            )

    def give_up(self, waiter: _Waiter) -> None:
        """Stop waiting; nothing of it is left behind."""
        for task in waiter.left:
            others = self._waiters.get(task)
            if others is not None:
                others.discard(waiter)
                if not others:
                    del self._waiters[task]

    def close(self, error: Exception) -> None:
        """Nothing more will become final here: every waiter is told so."""
        for waiter in {waiter for waiters in self._waiters.values() for waiter in waiters}:
            if not waiter.done.done():
                waiter.done.set_exception(error)
        self._waiters.clear()
