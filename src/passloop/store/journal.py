"""The append-only record of every batch, from which any state can be replayed, and of every removal, which is a batch
without events. It owns the journal's rows and their checksums; nothing is ever changed or taken out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apsw
import msgspec

from passloop.kernel.changes import Change, TaskAdded, TaskChanged
from passloop.kernel.events import Event

from .connection import REPAIR_HINT
from .errors import StoreDamaged
from .event_records import decode_events
from .records import decode_json, encode_json
from .sql import statement

__all__ = [
    "JournalRow",
    "Touched",
    "append_row",
    "checked",
    "count_after",
    "last_row",
    "rows_after",
    "rows_before",
    "touched_by",
]


class Touched(NamedTuple):
    """`size` tasks from `first` on that a batch brought to `state`."""

    first: int
    size: int
    state: str


class JournalRow(NamedTuple):
    """One batch: engine time `now` and wall time `at` in ms, the first and next free ids, events as JSON
    text.
    """

    seq: int
    now: int
    at: int
    seed: int
    first_run: int
    first_task: int
    first_attempt: int
    next_run: int
    next_task: int
    next_attempt: int
    events: str
    touched: str
    checksum: str

    def decoded_events(self) -> tuple[Event, ...]:
        """The events; payloads of submitted tasks are empty."""
        return decode_events(self.events)

    def touched_tasks(self) -> tuple[Touched, ...]:
        """Which tasks the batch brought to which state, as ranges."""
        return decode_json(_touched.decode, self.touched, "journal")


_touched = msgspec.json.Decoder(tuple[Touched, ...])


def checksum_of(row: Sequence[object]) -> str:
    """A digest over everything in the row but itself."""
    text = f"{row[:10]!r}{row[10]}{row[11]}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def touched_by(changes: Iterable[Change]) -> str:
    """Which tasks these changes bring to which state, as JSON text of `Touched` ranges."""
    ranges: list[list[object]] = []
    first, count, state = 0, 0, ""
    for change in changes:
        if type(change) is not TaskChanged and type(change) is not TaskAdded:
            continue
        row = change.row
        if count and row.id == first + count and row.state == state:
            count += 1
            continue
        if count:
            ranges.append([first, count, state])
        first, count, state = row.id, 1, str(row.state)
    if count:
        ranges.append([first, count, state])
    return encode_json(ranges)


def append_row(connection: apsw.Connection, row: JournalRow) -> None:
    """Write a row with its checksum, inside the caller's transaction."""
    connection.execute(statement("insert_journal"), (*row[:12], checksum_of(row)))


def checked(values: Sequence[object]) -> JournalRow:
    """A row as it was written. Raises `StoreDamaged`."""
    _require_as_written(values)
    return JournalRow._make(values)


def _require_as_written(values: Sequence[object]) -> None:
    if checksum_of(values) != values[12]:
        raise StoreDamaged(f"journal row {values[0]} is not as it was written", hint=REPAIR_HINT)


def last_row(connection: apsw.Connection) -> JournalRow | None:
    """The newest row, if there is any."""
    found = connection.execute(statement("select_journal_last")).fetchone()
    return None if found is None else checked(found)


def rows_before(connection: apsw.Connection, seq: int, *, limit: int) -> Iterator[JournalRow]:
    """The newest `limit` rows before `seq`, newest first, each checked."""
    for values in connection.execute(statement("select_journal_before"), (seq, limit)):
        yield checked(values)


def rows_after(connection: apsw.Connection, seq: int, *, limit: int = -1) -> Iterator[JournalRow]:
    """Rows after `seq` in order, at most `limit` (-1: all), each checked and none missing between them."""
    return map(JournalRow._make, _values_after(connection, seq, limit))


def count_after(connection: apsw.Connection, seq: int) -> int:
    """How many rows there are after `seq`, each checked and none missing between them."""
    return sum(map(bool, _values_after(connection, seq, -1)))


def _values_after(connection: apsw.Connection, seq: int, limit: int) -> Iterator[tuple[object, ...]]:
    """A journal may begin after 1: a repair leaves out what it cannot read whole."""
    start = connection.execute(statement("select_journal_start")).get
    expected = max(seq + 1, int(start or 0))
    for values in connection.execute(statement("select_journal"), (seq, limit)):
        _require_as_written(values)
        if values[0] != expected:
            raise StoreDamaged(f"journal row {expected} is missing", hint=REPAIR_HINT)
        expected += 1
        yield values
