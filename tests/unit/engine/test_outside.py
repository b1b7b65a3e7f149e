"""Reads outside the home: a folder that does not answer holds up nobody but who asks for it, and him not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from passloop.engine.errors import EngineStopped, Unanswered
from passloop.engine.outside import AT_ONCE, OF_A_FOLDER, OutsideReads
from tests.support.stuck_folders import stuck_folder

LONG = 1e6


def fail() -> int:
    raise LookupError("nothing there")


def reading(file: Path, begun: asyncio.Event) -> Callable[[], bytes]:
    """What reads a file in a thread, and tells the loop that it begins."""
    loop = asyncio.get_running_loop()

    def read() -> bytes:
        loop.call_soon_threadsafe(begun.set)
        return file.read_bytes()

    return read


async def test_a_folder_that_does_not_answer_holds_up_no_other(tmp_path: Path) -> None:
    outside = OutsideReads(limit=0)
    with stuck_folder(tmp_path / "gone", "file") as gone:
        for _ in range(OF_A_FOLDER):
            with pytest.raises(Unanswered, match="gone does not answer"):
                await outside.run(str(gone), (gone / "file").read_bytes)
        outside.limit = LONG
        async with asyncio.timeout(20):
            assert await outside.run("here", lambda: 1) == 1
            with pytest.raises(Unanswered, match="gone does not answer"):
                await outside.run(str(gone), lambda: 1)


async def test_a_folder_that_answers_late_is_read_and_asked_again(tmp_path: Path) -> None:
    outside = OutsideReads(limit=LONG)
    with stuck_folder(tmp_path / "late", "file") as late:
        begun = [asyncio.Event() for _ in range(AT_ONCE)]
        reads = [asyncio.ensure_future(outside.run(str(late), reading(late / "file", each))) for each in begun]
        async with asyncio.timeout(20):
            await asyncio.gather(*(each.wait() for each in begun))
    async with asyncio.timeout(20):
        assert await asyncio.gather(*reads) == [b"", b""]
        for number in range(OF_A_FOLDER + 1):
            assert await outside.run(str(late), lambda number=number: number) == number  # type: ignore[misc]


async def test_the_end_of_the_engine_does_not_wait_for_a_folder(tmp_path: Path) -> None:
    outside = OutsideReads(limit=LONG)
    with stuck_folder(tmp_path / "gone", "file") as gone:
        begun = asyncio.Event()
        read = asyncio.ensure_future(outside.run(str(gone), reading(gone / "file", begun)))
        async with asyncio.timeout(20):
            await begun.wait()
            outside.close()
            with pytest.raises(EngineStopped):
                await read
            with pytest.raises(EngineStopped):
                await outside.run("here", lambda: 1)


async def test_what_a_read_raises_is_told_to_who_asked() -> None:
    with pytest.raises(LookupError, match="nothing there"):
        await OutsideReads().run("here", fail)
