"""The journal as server-sent events. Replayed and live rows are the same, so a client that comes back misses none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from passloop.clock import iso_utc
from passloop.engine.engine import Engine
from passloop.store.journal import JournalRow

__all__ = ["event_stream", "event_text"]

_encode = msgspec.json.Encoder().encode


async def event_stream(engine: Engine, after: int) -> AsyncIterator[bytes]:
    """Text of the events after journal number `after`; goes on until the engine stops."""
    yield b": passloop\n\n"
    async for rows in engine.journal_events(after):
        yield b"".join(event_text(row) for row in rows)


def event_text(row: JournalRow) -> bytes:
    """One turn: its number, its time, and the tasks it brought to which state."""
    tasks = [
        {"id": task, "state": touched.state}
        for touched in row.touched_tasks()
        for task in range(touched.first, touched.first + touched.size)
    ]
    data = _encode({"seq": row.seq, "now": row.now, "at": iso_utc(row.at), "tasks": tasks})
    return b"id: %d\ndata: %b\n\n" % (row.seq, data)
