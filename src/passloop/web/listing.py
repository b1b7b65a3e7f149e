"""Many tasks as one JSON document, written piece by piece, so that a list of 100,000 tasks costs the engine no more
memory than one piece and holds up nobody else. The tasks are those selected at the beginning, each as it is when its
piece is read; one that was removed meanwhile is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from passloop.apps.queue import views
from passloop.engine.engine import Engine
from passloop.store.filters import TaskFilter, ranges_of
from passloop.store.reader import Reader

__all__ = ["PIECE", "task_pieces"]

PIECE = 500
"""Tasks read and written at once."""

_encode = msgspec.json.Encoder().encode


async def task_pieces(engine: Engine, ids: Sequence[int], *, total: int) -> AsyncIterator[bytes]:
    """The document `{"schema_version", "tasks", "total"}` of these tasks, ascending, in pieces of text."""
    yield b'{"schema_version":%d,"tasks":[' % views.SCHEMA_VERSION
    written = False
    for at in range(0, len(ids), PIECE):
        piece = await engine.read(lambda reader, at=at: _text(reader, ids[at : at + PIECE]))  # type: ignore[misc]
        if piece:
            yield b"," + piece if written else piece
            written = True
    yield b'],"total":%d}' % total


def _text(reader: Reader, ids: Sequence[int]) -> bytes:
    """These tasks as JSON, with commas between them."""
    found = reader.tasks(TaskFilter(ids=ranges_of(ids)))
    return _encode([views.task_view(task) for task in found])[1:-1]
