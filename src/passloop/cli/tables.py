"""Tables for people: columns as wide as their text, shrunk to the screen and left out where that does not do, colours
outside the widths.

A table is no interface; scripts read `--json`. It never writes; it returns lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from passloop.cli.streams import clean, paint

__all__ = ["Column", "cell_width", "fitted", "table"]

_LEAST = 6
_INDEX = re.compile(r"\[\d+\]$")
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; `right` aligns numbers, `shrinks` lets a crowded table cut this column's text; `wraps`, of the last
    column, lets the text go on below instead.

    Where that does not do, columns with a `spare` are left out, the highest first.
    """

    heading: str
    right: bool = False
    shrinks: bool = False
    wraps: bool = False
    spare: int = 0


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    colours: Sequence[Sequence[str]] = (),
) -> list[str]:
    """Lines of a table no wider than `width` characters; `colours` names one for each cell, or is empty."""
    texts = [[clean(cell) for cell in row] for row in rows]
    headings = [column.heading for column in columns]
    widths = [max(map(cell_width, cells)) for cells in zip(headings, *texts, strict=True)]
    empty = {at for at in range(len(columns)) if texts and not any(row[at] for row in texts)}
    kept = _kept(widths, columns, width, empty)
    columns = [columns[at] for at in kept]
    headings = [headings[at] for at in kept]
    widths = [widths[at] for at in kept]
    _shrink(widths, columns, width)
    lines = [_line(columns, headings, widths, ["dim"] * len(columns))]
    for place, row in enumerate(texts):
        chosen = [colours[place][at] if colours else "" for at in kept]
        lines += _lines(columns, [row[at] for at in kept], widths, chosen)
    return lines


def cell_width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def fitted(text: str, width: int) -> str:
    """`text` cut to `width` columns, with a sign where something is missing. An array's index stays: it alone tells one
    task from the next.
    """
    if cell_width(text) <= width:
        return text
    found = _INDEX.search(text)
    index = found[0] if found is not None and len(found[0]) + 3 <= width else ""
    kept = text[: len(text) - len(index)]
    while kept and cell_width(kept) > width - 1 - len(index):
        kept = kept[:-1]
    return f"{kept}~{index}"


def _kept(widths: Sequence[int], columns: Sequence[Column], width: int | None, empty: set[int]) -> list[int]:
    """The places of the columns to show, in their order: in a crowded table not those that are `empty`, and in a small
    one those that fit when all are shrunk as far as may be.
    """
    kept = list(range(len(columns)))
    if width is None or _total(widths) <= width:
        return kept
    kept = [at for at in kept if at not in empty]
    while kept:
        least = _total([min(widths[at], _LEAST) if columns[at].shrinks else widths[at] for at in kept])
        spare = max(kept, key=lambda at: columns[at].spare)
        if least <= width or not columns[spare].spare:
            break
        kept.remove(spare)
    return kept


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _shrink(widths: list[int], columns: Sequence[Column], width: int | None) -> None:
    if width is None:
        return
    over = _total(widths) - width
    while over > 0:
        places = [at for at, column in enumerate(columns) if column.shrinks and widths[at] > _LEAST]
        if not places:
            return
        widest = max(places, key=lambda at: widths[at])
        widths[widest] -= 1
        over -= 1


def _lines(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], colours: Sequence[str]) -> list[str]:
    """A row: one line, or more where its last text goes on below."""
    if not columns[-1].wraps or cell_width(cells[-1]) <= widths[-1]:
        return [_line(columns, cells, widths, colours)]
    import textwrap

    first, *more = textwrap.wrap(cells[-1], widths[-1])
    empty = [""] * (len(columns) - 1)
    rows = [[*cells[:-1], first], *([*empty, part] for part in more)]
    return [_line(columns, row, widths, colours) for row in rows]


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], colours: Sequence[str]) -> str:
    parts = []
    for column, text, room, colour in zip(columns, cells, widths, colours, strict=True):
        shown = fitted(text, room) if column.shrinks else text
        gap = " " * max(0, room - cell_width(shown))
        painted = paint(shown, colour)
        parts.append(gap + painted if column.right else painted + gap)
    return _GAP.join(parts).rstrip()
