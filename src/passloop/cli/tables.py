"""Tables for people: columns as wide as their text, shrunk to the screen, colours outside the widths.

A table is no interface; scripts read `--json`. It never writes; it returns lines.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from passloop.cli.streams import clean, paint

__all__ = ["Column", "cell_width", "fitted", "table"]

_LEAST = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; `right` aligns numbers, `shrinks` lets a crowded table cut this column's text."""

    heading: str
    right: bool = False
    shrinks: bool = False


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
    _shrink(widths, columns, width)
    lines = [_line(columns, headings, widths, ["dim"] * len(columns))]
    for place, row in enumerate(texts):
        lines.append(_line(columns, row, widths, colours[place] if colours else [""] * len(columns)))
    return lines


def cell_width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def fitted(text: str, width: int) -> str:
    """`text` cut to `width` columns, with a sign where something is missing."""
    if cell_width(text) <= width:
        return text
    kept = text
    while kept and cell_width(kept) > width - 1:
        kept = kept[:-1]
    return kept + "~"


def _shrink(widths: list[int], columns: Sequence[Column], width: int | None) -> None:
    if width is None:
        return
    over = sum(widths) + 2 * (len(widths) - 1) - width
    while over > 0:
        places = [at for at, column in enumerate(columns) if column.shrinks and widths[at] > _LEAST]
        if not places:
            return
        widest = max(places, key=lambda at: widths[at])
        widths[widest] -= 1
        over -= 1


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], colours: Sequence[str]) -> str:
    parts = []
    for column, text, room, colour in zip(columns, cells, widths, colours, strict=True):
        shown = fitted(text, room) if column.shrinks else text
        gap = " " * max(0, room - cell_width(shown))
        painted = paint(shown, colour)
        parts.append(gap + painted if column.right else painted + gap)
    return "  ".join(parts).rstrip()
