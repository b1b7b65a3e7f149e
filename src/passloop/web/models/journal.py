"""The journal for people: the newest turns with their events in short. Payloads, specs and processes are left out."""

from __future__ import annotations

from typing import Any

import msgspec

from passloop.apps.queue.views import Json, document
from passloop.clock import iso_utc
from passloop.store.journal import JournalRow
from passloop.store.reader import NEWEST, Reader

__all__ = ["journal"]

AT_ONCE = 500
MOST_LOOKED_AT = 5_000
MOST_VALUES = 20
LONGEST = 300
NOT_TOLD = frozenset({"spec", "specs", "about", "plan", "process", "result", "known", "known_keys", "type"})


def journal(reader: Reader, *, before: int | None, limit: int, task: int | None) -> Json:
    """At most `limit` turns before number `before`, newest first; those only that changed `task`, if one is named.

    `next` is the number to ask before for more, None at the beginning of the journal.
    """
    at = NEWEST if before is None else before
    found: list[JournalRow] = []
    looked, size = 0, min(AT_ONCE, limit) if task is None else AT_ONCE
    while len(found) < limit and looked < MOST_LOOKED_AT:
        rows = reader.journal_before(at, limit=size)
        for row in rows[: size if task is not None else limit - len(found)]:
            found += [row] if task is None or _touches(row, task) else []
            at = row.seq
            if len(found) == limit:
                break
        looked += len(rows)
        if len(rows) < size:
            break
    return document(rows=[_row(row) for row in found], next=at if at > 1 and at != NEWEST else None)


def _touches(row: JournalRow, task: int) -> bool:
    return any(each.first <= task < each.first + each.size for each in row.touched_tasks())


def _row(row: JournalRow) -> Json:
    events = msgspec.json.decode(row.events)
    return {
        "seq": row.seq,
        "at": iso_utc(row.at),
        "events": [_event(event) for event in events if isinstance(event, dict)],
        "ranges": [list(each) for each in row.touched_tasks()[:MOST_VALUES]],
    }


def _event(event: dict[str, Any]) -> Json:
    told = {name: _short(value) for name, value in event.items() if name not in NOT_TOLD}
    if "specs" in event:
        told["tasks"] = len(event.get("tasks") or ())
    return {"type": event.get("type"), **told}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[:LONGEST] + "..."
    if isinstance(value, list):
        return [_short(each) for each in value[:MOST_VALUES]]
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items() if name not in NOT_TOLD}
    return value
