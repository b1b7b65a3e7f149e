"""P19, within one engine: one thread alone uses the writing connection, and no question that was answered keeps the log
from being written back.

Two threads on it would mostly meet no lock, for SQLite lets one wait for the other, yet what one says would end up in
the other's transaction. A reader that stays in a transaction meets none either, and the log would grow for ever.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import apsw

from passloop.apps.queue.gather import gather
from passloop.devices.base import Sample
from passloop.devices.sampler import AttemptSample
from passloop.engine.removal import remove
from passloop.kernel.events import Cancelled
from passloop.kernel.ids import TaskId
from passloop.store.database import Store
from tests.support.engines import Rig, commands, rig

CLIENTS = 16
CHECKPOINTED = (0, 0)
"""Nothing is left in the log."""


def note_threads(store: Store) -> set[int]:
    """The threads that run a statement on the writing connection from now on, as SQLite tells of each."""
    threads: set[int] = set()
    store._writer.trace_v2(apsw.SQLITE_TRACE_STMT, lambda _told: threads.add(threading.get_ident()))
    return threads


async def use(one: Rig) -> None:
    """A client does all that writes, one of many at once."""
    answer = await one.engine.submit(commands(2))
    first, second = answer.tasks
    one.engine._keep_samples((AttemptSample(int(first), one.clock.now(), Sample("GPU-0", 1, 1, 1)),))
    await one.engine.send(Cancelled((second,)))
    await one.engine.wait_final([second])
    await remove(one.engine, [second])


async def ask_all(one: Rig) -> None:
    """A client asks for what commands and pages show."""
    run = str((await one.engine.read(lambda reader: reader.runs()))[0].row.id)
    await one.engine.read(lambda reader: gather(reader, one.home, run, made_at=0))
    await one.engine.read(lambda reader: (reader.tasks(limit=1), reader.task(1), reader.attempts(1), reader.runs()))
    await one.engine.read(lambda reader: reader.journal(after=0, limit=1))
    await one.engine.states_of([TaskId(1)])


async def test_one_thread_alone_uses_the_writing_connection(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        threads = note_threads(one.engine.store)
        await asyncio.gather(*(use(one) for _ in range(CLIENTS)))
        await one.engine.writer.run(lambda _store: None)
        assert len(threads) == 1, f"{len(threads)} threads used the writing connection"
        assert threading.get_ident() not in threads


async def test_no_question_that_was_answered_keeps_the_log_from_being_written_back(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await asyncio.gather(*(use(one) for _ in range(4)))
        await asyncio.gather(*(ask_all(one) for _ in range(CLIENTS)))
        one.engine.store._writer.set_busy_timeout(100)
        left = await one.engine.writer.run(
            lambda store: store._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        )
        assert left == CHECKPOINTED
        assert one.home.database.with_name("store.sqlite-wal").stat().st_size == 0
