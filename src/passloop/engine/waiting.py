"""Who waits for tasks to come to a state. Woken by commits, never by a look at the clock or the store."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from passloop.kernel.changes import Change, SourceAdded, SourceChanged, TaskAdded, TaskChanged
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import TaskState

__all__ = ["SourceWaiting", "Waiting"]


class _Waiter:
    """One wait: the tasks that are still not there, and the future of the end."""

    __slots__ = ("done", "left")

    def __init__(self, left: set[TaskId]) -> None:
        self.left = left
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Waiting:
    """Waiters by task, for any of `states`. All methods are called on the loop thread."""

    __slots__ = ("_closed", "_waiters", "states")

    def __init__(self, states: Collection[TaskState]) -> None:
        self.states = frozenset(states)
        self._waiters: dict[TaskId, set[_Waiter]] = {}
        self._closed: Exception | None = None

    def __len__(self) -> int:
        return len(self._waiters)

    def expect(self, tasks: Iterable[TaskId]) -> _Waiter:
        """Begin to wait. Do it before looking whether they are there already, so that nothing falls between."""
        waiter = _Waiter(set(tasks))
        for task in waiter.left:
            self._waiters.setdefault(task, set()).add(waiter)
        if not waiter.left:
            waiter.done.set_result(None)
        return waiter

    def note_there(self, tasks: Iterable[TaskId]) -> None:
        """These tasks are in one of the states, and it is committed."""
        for task in tasks:
            for waiter in self._waiters.pop(task, ()):
                waiter.left.discard(task)
                if not waiter.left and not waiter.done.done():
                    waiter.done.set_result(None)

    def note(self, changes: Iterable[Change]) -> None:
        """A committed turn made these changes."""
        if self._waiters:
            self.note_there(
                TaskId(change.row.id)
                for change in changes
                if (type(change) is TaskChanged or type(change) is TaskAdded) and change.row.state in self.states
            )

    def give_up(self, waiter: _Waiter) -> None:
        """Stop waiting; nothing of it is left behind."""
        for task in waiter.left:
            others = self._waiters.get(task)
            if others is not None:
                others.discard(waiter)
                if not others:
                    del self._waiters[task]

    def looked(self, waiter: _Waiter) -> None:
        """What is there already was noted: the rest is still to come, or never will."""
        if self._closed is not None and not waiter.done.done():
            waiter.done.set_exception(self._closed)

    def close(self, error: Exception) -> None:
        """No state is committed here any more: every waiter is told so, those to come too."""
        self._closed = error
        for waiter in {waiter for waiters in self._waiters.values() for waiter in waiters}:
            if not waiter.done.done():
                waiter.done.set_exception(error)
        self._waiters.clear()


class SourceWaiting(Waiting):
    """Waiters by run, for its source to be over. Runs stand where tasks do."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(())

    def note(self, changes: Iterable[Change]) -> None:
        """A committed turn made these changes."""
        if self._waiters:
            self.note_there(
                TaskId(change.row.run)
                for change in changes
                if isinstance(change, SourceAdded | SourceChanged) and change.row.ended_at is not None
            )
