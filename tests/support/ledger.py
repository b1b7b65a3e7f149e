"""Waiting for a ledger to look like this, turn by turn and never by the clock; and a holder to be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from passloop import Engine, Task
from passloop.api.door import Door

__all__ = ["Holder", "holding", "pretend", "until"]

SECONDS = 30
HOLDER = """
import asyncio, sys, passloop
async def main():
    async with passloop.GpuPool() as pool:
        async with pool.lease(gpus=int(sys.argv[1]), owner="holder") as lease:
            print(",".join(lease.uuids), flush=True)
            await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


def pretend(patch: pytest.MonkeyPatch, folder: Path, gpus: str | None) -> Path:
    """Let this process's home be in `folder`, with these virtual GPUs (None: the real ones). Nothing else is set."""
    for name in tuple(os.environ):
        if name.startswith("PASSLOOP_"):
            patch.delenv(name)
    home = folder / "home"
    (folder / "locks").mkdir()
    (folder / "locks").chmod(0o1777)
    patch.setenv("PASSLOOP_HOME", str(home))
    patch.setenv("PASSLOOP_CPUS", "4")
    patch.setenv("PASSLOOP_LOCK_DIR", str(folder / "locks"))
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    if gpus is not None:
        patch.setenv("PASSLOOP_VIRTUAL_GPUS", gpus)
    patch.chdir(folder)
    return home


async def until(engine: Engine, condition: Callable[[tuple[Task, ...]], object]) -> tuple[Task, ...]:
    """Wait until this is so of the tasks of the ledger, looked at after each turn; the tasks then."""
    door = Door(engine.home)
    async with asyncio.timeout(SECONDS), aclosing(door.turns()) as turns:
        async for _ in turns:
            tasks = await engine.tasks()
            if condition(tasks):
                return tasks
    raise AssertionError("the engine ended")


class Holder:
    """Another process that holds GPUs until it is killed or told to let go."""

    def __init__(self, process: asyncio.subprocess.Process, uuids: tuple[str, ...]) -> None:
        self.process = process
        self.uuids = uuids

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def holding(gpus: int) -> AsyncIterator[Holder]:
    """Another process that holds `gpus` GPUs of this home."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(gpus), stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            line = await process.stdout.readline()
        yield Holder(process, tuple(line.decode().strip().split(",")))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
