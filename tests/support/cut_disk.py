"""A disk that is told what happened to it, and shows what a power cut at any moment may leave.

What was synced is there. Of what was not, any subset may be: each 512-byte sector, each length, each name, in whatever
order. A name is synced with its directory, content with its file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, product
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["Disk", "Left", "lay"]

SECTOR = 512
CHANCES = [0.0, 0.3, 0.7, 0.95, 1.0]

Left = Mapping[str, bytes | None]
"""The content of each file by its path below the home; None is a folder."""


@dataclass(slots=True)
class _Node:
    """A file or a folder: what is surely on the disk, and what was done to it since."""

    folder: bool = False
    synced: bytearray = field(default_factory=bytearray)
    pending: list[dict[str, Any]] = field(default_factory=list)

    def sync(self) -> None:
        for line in self.pending:
            _apply(self.synced, line)
        self.pending.clear()

    def left(self, choice: Random, chance: float) -> bytes | None:
        if self.folder:
            return None
        content = bytearray(self.synced)
        for line in self.pending:
            for part in _sectors(line):
                if choice.random() < chance:
                    _apply(content, part)
        return bytes(content)


class Disk:
    """Files and their names, as a power cut may leave them."""

    def __init__(self) -> None:
        self._nodes: dict[int, _Node] = {}
        self._names: dict[str, _Node] = {}
        self._pending: list[tuple[str | None, str | None, _Node]] = []
        self._now: dict[str, _Node] = {}
        self.acknowledged = 0
        self.backed_up = 0
        self.repaired = False

    def take(self, line: Mapping[str, Any]) -> None:
        """The next thing that happened."""
        what = line.get("do")
        if what is None:
            for name, value in line.items():
                setattr(self, name, value)
        elif what in ("write", "truncate"):
            self._nodes[line["node"]].pending.append(dict(line))
        elif what == "sync":
            self._nodes[line["node"]].sync()
        elif what == "sync_directory":
            self._sync_names(line["file"])
        elif what == "found":
            data = line["data"]
            node = self._nodes[line["node"]] = _Node(data is None, bytearray.fromhex(data or ""))
            self._names[line["file"]] = self._now[line["file"]] = node
        elif what == "make":
            node = self._nodes[line["node"]] = _Node(line["folder"])
            self._rename(None, line["file"], node)
        elif line["file"] in self._now:
            self._rename(line["file"], line.get("to"), self._now[line["file"]])

    def _rename(self, old: str | None, new: str | None, node: _Node) -> None:
        self._pending.append((old, new, node))
        _name(self._now, old, new, node)

    def _sync_names(self, folder: str) -> None:
        later = []
        for old, new, node in self._pending:
            if str(Path(new or old or "").parent) == folder:
                _name(self._names, old, new, node)
            else:
                later.append((old, new, node))
        self._pending = later

    def whole(self) -> Left:
        """What is there without any cut."""
        return {name: node.left(Random(0), 1.0) for name, node in self._now.items()}

    def after_a_cut(self, choice: Random) -> Left:
        """What may be left, by chance."""
        chance = choice.choice(CHANCES)
        return self._left([choice.random() < chance for _ in self._pending], choice)

    def after_each_cut(self, choice: Random) -> Iterator[Left]:
        """What may be left of names, each subset of what was not synced once; of content, by chance."""
        for kept in product((False, True), repeat=len(self._pending)):
            yield self._left(kept, choice)

    def _left(self, kept: Sequence[bool], choice: Random) -> Left:
        names = dict(self._names)
        for old, new, node in compress(self._pending, kept):
            _name(names, old, new, node)
        folders = {"."} | {name for name, node in names.items() if node.folder}
        chance = choice.choice(CHANCES)
        return {name: node.left(choice, chance) for name, node in names.items() if str(Path(name).parent) in folders}


def lay(left: Left, folder: Path) -> None:
    """Make a new folder with these files."""
    folder.mkdir(mode=0o700)
    for name in sorted(left):
        content = left[name]
        if content is None:
            (folder / name).mkdir(mode=0o700)
        else:
            (folder / name).write_bytes(content)


def _name(names: dict[str, _Node], old: str | None, new: str | None, node: _Node) -> None:
    if old is not None and names.get(old) is node:
        del names[old]
    if new is not None:
        names[new] = node


def _sectors(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if line["do"] != "write":
        yield line
        return
    data, at = bytes.fromhex(line["data"]), line["at"]
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (at + start) % SECTOR)
        yield {"do": "write", "at": at + start, "data": data[start:end].hex()}
        start = end


def _apply(content: bytearray, line: Mapping[str, Any]) -> None:
    if line["do"] == "truncate":
        del content[line["at"] :]
        content.extend(bytes(max(0, line["at"] - len(content))))
        return
    data, at = bytes.fromhex(line["data"]), line["at"]
    content.extend(bytes(max(0, at + len(data) - len(content))))
    content[at : at + len(data)] = data
