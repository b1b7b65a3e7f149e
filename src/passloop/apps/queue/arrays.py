"""Many tasks from one command: `--array 1-10,20,30-40:2` and `--each-line FILE`. Counted before they are
written out.
"""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

__all__ = ["MOST_POINTS", "array_indices", "lines_of"]

MOST_POINTS = 100_000
LARGEST_INDEX = 10**12
LARGEST_FILE = 64 * 2**20
ARRAY_FORMS = "write it as 1-100, or 1-10,20,30-40:2"
PART = re.compile(r"([0-9]{1,13})(?:-([0-9]{1,13})(?::([0-9]{1,13}))?)?")


def array_indices(text: str, *, most: int = MOST_POINTS) -> tuple[int, ...]:
    """The indices in the order written, each once. Raises `BadValue`, also for more than `most`."""
    ranges = [_range_of(part.strip(), text) for part in text.split(",")]
    count = sum(len(each) for each in ranges)
    if count > most:
        raise BadValue(f"the array {shown(text)} has {count:,} indices", f"use at most {most:,}")
    indices = tuple(dict.fromkeys(index for each in ranges for index in each))
    if len(indices) != count:
        raise BadValue(f"the array {shown(text)} names an index twice", "name each once")
    return indices


def lines_of(path: str, *, most: int = MOST_POINTS) -> tuple[str, ...]:
    """The lines of a UTF-8 file (`-`: of stdin) without their ends; blank lines are left out. Raises `BadValue`."""
    data = _read(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValue(f"{shown(path)} is not UTF-8 (byte {error.start})", "convert it to UTF-8") from None
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    kept = tuple(line for line in lines if line.strip())
    if not kept:
        raise BadValue(f"{shown(path)} has no lines", "put one task's argument on each line")
    if len(kept) > most:
        raise BadValue(f"{shown(path)} has {len(kept):,} lines", f"use at most {most:,}")
    if "\0" in text:
        number = text[: text.index("\0")].count("\n") + 1
        raise BadValue(f"{shown(path)}:{number} has a NUL character", "remove it: no program can be given one")
    return kept


def _read(path: str) -> bytes:
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadValue(f"{shown(path)} cannot be read: {reason}", "name a readable text file") from None
    if len(data) > LARGEST_FILE:
        raise BadValue(f"{shown(path)} is larger than 64 MiB", "split it")
    return data


def _range_of(part: str, text: str) -> range:
    match = PART.fullmatch(part)
    if match is None:
        raise BadValue(f"the array {shown(text)} is not readable at {shown(part)}", ARRAY_FORMS)
    first, last, step = (int(group) if group else None for group in match.groups())
    assert first is not None
    end = first if last is None else last
    if end < first or step == 0 or end > LARGEST_INDEX:
        raise BadValue(f"the array {shown(text)} has the impossible part {shown(part)}", ARRAY_FORMS)
    return range(first, end + 1, step or 1)
