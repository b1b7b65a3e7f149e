"""An engine with its page in a thread of its own, for tests whose tools are not async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from .paged import Paged, paged

__all__ = ["Address", "page_in_a_thread"]


class Address:
    """Where the page is, and its token."""

    def __init__(self, page: Paged) -> None:
        self.url = str(page.host.page.url)
        self.token = page.token
        self.page = page


@contextmanager
def page_in_a_thread(path: Path, prepare: Callable[[Paged], None] | None = None) -> Iterator[Address]:
    """The page, served until the end of the block; `prepare` is called in its thread before it is told."""
    ready: Future[tuple[Address, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        leave = asyncio.Event()
        async with paged(path) as page:
            if prepare is not None:
                prepare(page)
            ready.set_result((Address(page), asyncio.get_running_loop(), leave))
            await leave.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=run, name="page")
    thread.start()
    address, loop, leave = ready.result(timeout=30)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join(timeout=30)
