"""Reads of files that lie outside the home, off the loop. A folder there may be on a network whose server is gone, and
then no read of it ends. So each folder has threads of its own, which hold up nobody else and are not waited for: not by
who asks, beyond a limit, and not by the engine's end. Must never be given a `Reader`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

from .errors import EngineStopped, Unanswered
from .threads import Threads

__all__ = ["OutsideReads"]

Result = TypeVar("Result")
AT_ONCE = 2
"""Threads of a folder."""
OF_A_FOLDER = 16
"""Reads of a folder that have not ended, at most: who asks again and again must not take the places of all others."""
MOST = 64
"""Reads of all folders that have not ended."""
ANSWERS_WITHIN = 20.0
"""Seconds. A large matrix on a slow disk takes one or two, and what was read is known the next time."""


class OutsideReads:
    """Runs functions that read below one folder. Loop thread only.

    `limit` is how many seconds an answer is waited for.
    """

    def __init__(self, *, limit: float = ANSWERS_WITHIN) -> None:
        self.limit = limit
        self._threads: dict[str, Threads] = {}
        self._asked: dict[asyncio.Future[Any], str] = {}
        self._is_closed = False

    async def run(self, folder: str, read: Callable[[], Result]) -> Result:
        """What `read` returns or raises. Raises `Unanswered` if the folder does not answer within the limit, and at
        once if too many reads before this one have not ended, and `EngineStopped`.
        """
        if self._is_closed:
            raise _stopped()
        asked = list(self._asked.values())
        if len(asked) >= MOST or asked.count(folder) >= OF_A_FOLDER:
            raise _unanswered(folder if asked.count(folder) >= OF_A_FOLDER else max(asked, key=asked.count))
        threads = self._threads.setdefault(folder, Threads(AT_ONCE, name="passloop-outside"))
        answer = threads.submit(read)
        self._asked[answer] = folder
        answer.add_done_callback(self._ended)
        await asyncio.wait({answer}, timeout=self.limit)
        if not answer.done():
            raise _unanswered(folder)
        return cast(Result, answer.result())

    def close(self) -> None:
        """Tell who waits that no answer is to come. Threads that no folder answers are left to the process's end."""
        self._is_closed = True
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(_stopped())

    def _ended(self, answer: asyncio.Future[Any]) -> None:
        """A read has ended, or is not waited for any more; threads of a folder end with its last one."""
        answer.exception()  # who asked may be gone: then nobody else takes what it raised
        folder = self._asked.pop(answer)
        if folder not in self._asked.values():
            self._threads.pop(folder).shutdown(wait=False)


def _unanswered(folder: str) -> Unanswered:
    what = f"{folder} does not answer: its disk or its file server may be gone, or slow"
    return Unanswered(what, hint="`mount` names the file system it is on; all else goes on")


def _stopped() -> EngineStopped:
    return EngineStopped("the engine stopped", hint="passloop up")
