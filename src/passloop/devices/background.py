"""Work of the device layer beside the loop's callbacks. It owns that an error of such work is heard, since whoever it
was about would wait for ever otherwise. It decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

__all__ = ["Failed", "begin"]

Failed = Callable[[BaseException], None]
"""Takes the error that ended a piece of work."""


def begin(work: Coroutine[Any, Any, None], *, failed: Failed, name: str | None = None) -> asyncio.Task[None]:
    """Begin a piece of work on the running loop; `failed` gets the error if it raises one."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(partial(_tell, failed))
    return task


def _tell(failed: Failed, task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        failed(error)
