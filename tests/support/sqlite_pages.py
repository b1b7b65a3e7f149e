"""What each page of a SQLite database carries, and how far its log can be read: by the file format alone, so that who
judges a repair asks neither SQLite nor the code that is judged. For the files of a store only: pages of 4,096 bytes of
which the last eight are a checksum. Source: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["PAGE", "Commit", "commits_in", "pages_of_rows", "pages_of_tree", "pages_with"]

PAGE = 4_096
USABLE = PAGE - 8
LOG_HEADER, FRAME_HEADER = 32, 24
INDEX_INNER, TABLE_INNER, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13

Pages = Mapping[int, bytes]


class Commit(NamedTuple):
    """One commit of a log: the pages that it wrote, how many the database has from then on, and where it ends."""

    pages: dict[int, bytes]
    size: int
    end: int


def commits_in(log: bytes) -> list[Commit]:
    """The commits of a log up to the first frame that is not as it was written."""
    if len(log) < LOG_HEADER:
        return []
    magic, salts = int.from_bytes(log[:4]), log[16:24]
    order = ">" if magic & 1 else "<"
    sums = _summed(order, log[:24], (0, 0))
    if magic & ~1 != 0x377F0682 or sums != struct.unpack(">2I", log[24:32]):
        return []
    commits, pages = [], {}
    for at in range(LOG_HEADER, len(log) - FRAME_HEADER - PAGE + 1, FRAME_HEADER + PAGE):
        head, body = log[at : at + FRAME_HEADER], log[at + FRAME_HEADER : at + FRAME_HEADER + PAGE]
        sums = _summed(order, head[:8] + body, sums)
        if head[8:16] != salts or sums != struct.unpack(">2I", head[16:24]):
            break
        page, size = struct.unpack(">2I", head[:8])
        pages[page] = body
        if size:
            commits.append(Commit(pages, size, at + FRAME_HEADER + PAGE))
            pages = {}
    return commits


def _summed(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


def pages_with(database: bytes, commits: list[Commit]) -> dict[int, bytes]:
    """The pages of a database as its log has them; what is cut off is not among them."""
    pages = {at // PAGE + 1: database[at : at + PAGE] for at in range(0, len(database) - PAGE + 1, PAGE)}
    for commit in commits:
        pages |= commit.pages
    size = commits[-1].size if commits else len(pages)
    return {number: body for number, body in pages.items() if number <= size}


def pages_of_rows(pages: Pages, root: int) -> list[frozenset[int]]:
    """Of each row of a tree, in the order of its keys: the pages without which it cannot be read."""
    return list(_rows(pages, root, frozenset()))


def pages_of_tree(pages: Pages, root: int) -> set[int]:
    """All pages of a tree, those of long rows too."""
    return {root}.union(*pages_of_rows(pages, root))


def _rows(pages: Pages, number: int, above: frozenset[int]) -> Iterator[frozenset[int]]:
    body, path = pages[number], above | {number}
    start = 100 if number == 1 else 0
    kind, cells = body[start], int.from_bytes(body[start + 3 : start + 5])
    inner = kind in (INDEX_INNER, TABLE_INNER)
    first = start + (12 if inner else 8)
    for cell in struct.unpack(f">{cells}H", body[first : first + 2 * cells]):
        if inner:
            yield from _rows(pages, int.from_bytes(body[cell : cell + 4]), path)
        if kind != TABLE_INNER:
            yield path | set(_overflow(pages, body, cell + 4 * inner, kind))
    if inner:
        yield from _rows(pages, int.from_bytes(body[start + 8 : start + 12]), path)


def _overflow(pages: Pages, body: bytes, at: int, kind: int) -> Iterator[int]:
    """The pages in which a long row goes on."""
    size, at = _varint(body, at)
    if kind == TABLE_LEAF:
        _, at = _varint(body, at)
    here = _local(size, USABLE - 35 if kind == TABLE_LEAF else (USABLE - 12) * 64 // 255 - 23)
    following = int.from_bytes(body[at + here : at + here + 4]) if here < size else 0
    while following:
        yield following
        following = int.from_bytes(pages[following][:4])


def _local(size: int, most: int) -> int:
    """How many bytes of a row lie in its own page."""
    if size <= most:
        return size
    least = (USABLE - 12) * 32 // 255 - 23
    fitting = least + (size - least) % (USABLE - 4)
    return fitting if fitting <= most else least


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(8):
        value = value << 7 | body[at + length] & 0x7F
        if body[at + length] < 0x80:
            return value, at + length + 1
    return value << 8 | body[at + 8], at + 9
