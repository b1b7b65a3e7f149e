"""A spec file: read within limits, its kind known by its first key, and checked against a model.

Every error is `file:line:column: what`, with how to fix it, and all of them are reported together. Whatever
the file holds, the answer is a model or a `SpecError`, never a traceback, within a second.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from .errors import Problem, SpecError, did_you_mean
from .model_errors import complaints_of
from .text import shown
from .yaml_nodes import Complaint, Node, UnreadableYaml, compose

__all__ = ["KINDS", "SpecFile", "load_spec", "parse_spec"]

KINDS = ("run", "bench", "tune", "generate")
STDIN = "-"
LARGEST = 2**19
"""Bytes. YAML is read at about 1 MiB a second, and the answer to any file must come within one."""

NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A spec as read. `name` is the path as the user wrote it, `folder` what input paths are relative to."""

    name: str
    folder: Path
    kind: str
    root: Node

    def read(self, model: type[M], *, as_written: frozenset[str] = frozenset()) -> M:
        """The spec as `model`; numbers below the keys `as_written` stay text. Raises `SpecError`."""
        try:
            read = model.model_validate(self.root.plain(as_written=as_written))
        except ValidationError as error:
            raise self.error([*self.root.wrong, *complaints_of(error, self.root, model)]) from None
        if self.root.wrong:
            raise self.error(list(self.root.wrong))
        return read

    def place(self, *path: str | int) -> tuple[int, int]:
        """Line and column of the value at `path`, or of the nearest thing above it."""
        node = self.root
        for part in path:
            node = node.child(part) or node
        return node.line, node.column

    def complaint(self, path: tuple[str | int, ...], what: str, fix: str) -> Complaint:
        """A complaint about the value at `path`."""
        line, column = self.place(*path)
        return Complaint(line, column, what, fix)

    def error(self, complaints: list[Complaint]) -> SpecError:
        """The error to raise for `complaints`, in the order of the file."""
        return _error(self.name, complaints)


def load_spec(path: str | Path, *, kind: str = "run") -> SpecFile:
    """Read the spec at `path`; `-` is standard input, whose paths are relative to the current directory.

    `kind` is what it should be, for what is said of a file that is no spec. Raises `SpecError`.
    """
    if path == STDIN:
        return parse_spec(sys.stdin.buffer.read(LARGEST + 1), name=STDIN, folder=Path.cwd(), kind=kind)
    name = shown(str(path), longest=500)[1:-1]
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)
        folder = Path(path).resolve().parent
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
        problem = Problem(f"cannot be read: {reason}", "name a spec file that exists", name)
        raise SpecError([problem], next_command=f"passloop schema {kind}") from None
    return parse_spec(data, name=name, folder=folder, kind=kind)


def parse_spec(data: bytes, *, name: str, folder: Path, kind: str = "run") -> SpecFile:
    """The spec in `data`; see `load_spec`. Raises `SpecError`."""
    try:
        root = compose(_text(data))
        return SpecFile(name, folder, _kind(root, kind), root)
    except UnreadableYaml as unreadable:
        raise _error(name, [unreadable.complaint]) from None


def _text(data: bytes) -> str:
    if len(data) > LARGEST:
        raise UnreadableYaml(1, 1, "the file is larger than 512 KiB", "split the spec, or use --each-line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise UnreadableYaml(*_end(before), "the file is not UTF-8 text here", "save it as UTF-8") from None
    found = NOT_YAML.search(text)
    if found is not None:
        code = f"U+{ord(found.group()):04X}"
        raise UnreadableYaml(*_end(text[: found.start()]), f"the character {code} is not allowed", "remove it")
    return text


def _end(text: str) -> tuple[int, int]:
    """Line and column of what follows `text`."""
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1


def _kind(root: Node, wanted: str) -> str:
    if not isinstance(root.value, dict):
        raise UnreadableYaml(root.line, root.column, "a spec is a mapping of keys", f"begin with `{wanted}: NAME`")
    first = next(iter(root.value), None)
    if first is None:
        raise UnreadableYaml(root.line, root.column, "the spec has no keys", f"begin with `{wanted}: NAME`")
    if first in KINDS:
        return first
    line, column = root.keys[first] if root.keys else (root.line, root.column)
    later = next((kind for kind in KINDS if kind in root.value), None)
    if later is not None:
        raise UnreadableYaml(line, column, "the first key names the kind", f"move `{later}:` to the top")
    what = f"the first key {shown(first)} is no kind of spec"
    raise UnreadableYaml(line, column, what, did_you_mean(first, KINDS))


def _error(name: str, complaints: list[Complaint]) -> SpecError:
    ordered = sorted(complaints, key=lambda each: (each.line, each.column))
    problems = [Problem(each.what, each.fix, f"{name}:{each.line}:{each.column}") for each in ordered]
    return SpecError(problems, next_command=f"passloop plan {name}")
