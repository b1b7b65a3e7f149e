"""Which tasks users removed, as ranges of ids in the row `removed` of `meta`: a repair must neither call them gone nor
bring them back from a backup. It deletes nothing of a living store.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import apsw
import msgspec

from .records import Values, decode_json, encode_json
from .sql import statement

__all__ = ["Ranges", "covers", "joined", "note_removed", "ranges_in", "write_ranges"]

Ranges = tuple[tuple[int, int], ...]
"""Ascending, disjoint, both ends included."""

_NAME = "removed"
_ranges = msgspec.json.Decoder(Ranges)


def note_removed(connection: apsw.Connection, tasks: Iterable[int]) -> None:
    """Note that these tasks were removed, inside the transaction that removes them."""
    row = connection.execute(statement("select_meta"), (_NAME,)).fetchone()
    known = () if row is None else _read(row[0])
    write_ranges(connection, joined([*known, *((task, task) for task in tasks)]))


def write_ranges(connection: apsw.Connection, ranges: Ranges) -> None:
    """Let these be all that were removed."""
    connection.execute(statement("upsert_meta"), (_NAME, encode_json(ranges)))


def ranges_in(meta: Iterable[Values]) -> Ranges:
    """What rows of `meta` say was removed, several copies of it together."""
    return joined(span for name, value in meta if name == _NAME for span in _read(value))


def covers(ranges: Sequence[tuple[int, int]], task: int) -> bool:
    """Whether one of the ranges has this id."""
    at = bisect_right(ranges, (task, 2**63)) - 1
    return at >= 0 and task <= ranges[at][1]


def _read(value: object) -> Ranges:
    return decode_json(_ranges.decode, str(value), "meta")


def joined(spans: Iterable[tuple[int, int]]) -> Ranges:
    """The same ids with neighbours and overlaps in one range."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)
