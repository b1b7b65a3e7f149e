"""The journal as server-sent events. Replayed and live rows are the same, so a client that comes back misses none.

There are three forms: with the state of every task, for programs that follow a few; with ranges and what the turn
touched, for whoever shows many; and marks, a few words a second at most, for whoever only wants to know when to look.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import msgspec

from passloop.clock import iso_utc
from passloop.engine.engine import Engine
from passloop.store.journal import JournalRow

__all__ = ["event_stream", "event_text", "mark_stream", "ranges_text", "touches_of"]

BEGIN = b"retry: 1000\n: passloop\n\n"
"""A browser that lost the stream comes back after a second."""
MARK_SECONDS = 0.2
"""The pause between two marks."""
TYPES = re.compile(r'"type":"(\w+)"')
TOUCHED_BY = {
    "DevicesSeen": "devices",
    "QuarantineReleased": "devices",
    "StartRefused": "devices",
    "StrayGone": "devices",
    "WorkerGone": "devices",
    "PoolDeclared": "pools",
    "PoolOpened": "pools",
    "SourceDeclared": "sources",
    "Expanded": "sources",
    "ExpansionFailed": "sources",
    "SourceRetried": "sources",
    "UnitResized": "sources",
    "GroupHeld": "groups",
    "GroupReleased": "groups",
    "DrainChanged": "engine",
    "PauseChanged": "engine",
}
EVERYTHING = sorted({"tasks", *TOUCHED_BY.values()})
WITH_TASKS = ("tasks", "devices", "pools")
"""A task that changes gives or takes what it holds."""

_encode = msgspec.json.Encoder().encode
Form = Callable[[JournalRow], bytes]


def event_stream(engine: Engine, after: int | None, form: Form, *, greets: bool = False) -> AsyncIterator[bytes]:
    """Text of the events after journal number `after` (None: from now on); goes on until the engine stops.

    A number beyond the journal is of another one: this store was restored or begun anew. Then the first event says so.
    With `greets` who names no number is told the newest, to be able to come back before anything has happened.
    """
    newest = engine.feed.last  # now, and not when the reply is on its way: nothing between may be missed
    is_beyond = after is not None and after > newest
    begin = BEGIN + _standing(engine, newest, anew=is_beyond) if is_beyond or (after is None and greets) else BEGIN
    return _events(engine, newest if after is None or is_beyond else after, form, begin)


async def _events(engine: Engine, after: int, form: Form, begin: bytes) -> AsyncIterator[bytes]:
    yield begin
    async for rows in engine.journal_events(after):
        yield b"".join(form(row) for row in rows)


async def mark_stream(engine: Engine, after: int) -> AsyncIterator[bytes]:
    """How far the journal is, as often as it is beyond `after`, but a few times a second at most."""
    yield BEGIN
    async for seq in engine.journal_marks(after, pause=MARK_SECONDS):
        yield b"id: %d\ndata: %b\n\n" % (seq, _encode({"seq": seq}))


def event_text(row: JournalRow) -> bytes:
    """One turn: its number, its time, and the tasks it brought to which state."""
    tasks = [
        {"id": task, "state": touched.state}
        for touched in row.touched_tasks()
        for task in range(touched.first, touched.first + touched.size)
    ]
    return _event(row, tasks=tasks)


def ranges_text(row: JournalRow) -> bytes:
    """One turn in short: ranges of tasks with their state, new runs, and what else may look different now."""
    runs = list(range(row.first_run, row.next_run)) if row.next_run > row.first_run else []
    return _event(row, ranges=row.touched_tasks(), runs=runs, touches=touches_of(row))


def touches_of(row: JournalRow) -> list[str]:
    """What a turn may have changed: tasks, devices, pools, sources, groups, engine."""
    found = {TOUCHED_BY[kind] for kind in TYPES.findall(row.events) if kind in TOUCHED_BY}
    if row.touched != "[]":
        found.update(WITH_TASKS)
    return sorted(found) or ["pools"]


def _standing(engine: Engine, seq: int, *, anew: bool) -> bytes:
    """An event of no turn: where the journal is; `anew` means that whatever the client has seen is to be read again."""
    told: dict[str, object] = {"seq": seq, "now": engine.clock.now(), "at": iso_utc(engine.clock.wall())}
    told |= {"tasks": [], "ranges": [], "runs": [], "touches": EVERYTHING if anew else []}
    return b"id: %d\ndata: %b\n\n" % (seq, _encode(told | {"anew": True} if anew else told))


def _event(row: JournalRow, **about: object) -> bytes:
    data = _encode({"seq": row.seq, "now": row.now, "at": iso_utc(row.at), **about})
    return b"id: %d\ndata: %b\n\n" % (row.seq, data)
