"""YAML text -> a tree of nodes that know their line and column, within limits that hold before anything is
built.

ruamel.yaml scans and parses; the tree is composed here from its events without recursion, so that depth, the
number of nodes and what aliases would expand to are known and bounded as they come. A syntax error ends the
reading; everything else (double keys, keys that are no text, unknown tags) is collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from .errors import BadValue
from .text import shown
from .yaml_scalars import Scalar, plain_scalar, tagged_scalar

__all__ = ["Complaint", "Node", "UnreadableYaml", "compose"]

DEEPEST = 64
MOST_NODES = 20_000
MOST_EXPANDED = 100_000

Plain = Any


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong at a line and column (from 1)."""

    line: int
    column: int
    what: str
    fix: str


class UnreadableYaml(Exception):
    """The text is not YAML that we take; `complaint` says where and why."""

    def __init__(self, line: int, column: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.complaint = Complaint(line, column, what, fix)


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, list or mapping at a line and column (from 1).

    `text` is a scalar as written. `keys` gives the place of each key of a mapping. `size` counts the nodes
    under it with aliases written out, `height` its levels. `wrong` is, of the root, what is wrong with the text beside
    syntax: whoever reads the values tells it with what else is wrong.
    """

    line: int
    column: int
    value: Scalar | list[Node] | dict[str, Node]
    text: str = ""
    keys: dict[str, tuple[int, int]] | None = None
    size: int = 1
    height: int = 1
    wrong: tuple[Complaint, ...] = ()

    def child(self, part: str | int) -> Node | None:
        """The value under a key or index, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(str(part))
        if isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value):
            return self.value[part]
        return None

    def plain(self, *, as_written: frozenset[str] = frozenset()) -> Plain:
        """The value as plain data; numbers below the top-level keys `as_written` stay text."""
        if isinstance(self.value, dict):
            return {key: node._plain(text=key in as_written) for key, node in self.value.items()}
        return self._plain(text=False)

    def _plain(self, *, text: bool) -> Plain:
        if isinstance(self.value, dict):
            return {key: node._plain(text=text) for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node._plain(text=text) for node in self.value]
        return self.text if text and self.value is not None else self.value


@dataclass(slots=True)
class _Open:
    """A list or mapping that is not closed yet; `key` is the mapping's key that waits for its value."""

    node: Node
    anchor: str | None
    key: Node | None = None


def compose(text: str) -> Node:
    """The one document of `text`. Raises `UnreadableYaml`."""
    composer = _Composer()
    for event in _events(text):
        composer.on_event(event)
    if composer.root is None:
        raise UnreadableYaml(1, 1, "the file is empty", "begin with `run: NAME`, or with bench, tune or generate")
    composer.root.wrong = tuple(composer.complaints)
    return composer.root


class _Composer:
    """Builds the tree from events; a stack of what is open stands for the recursion."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.complaints: list[Complaint] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._nodes = 0

    def on_event(self, event: Any) -> None:
        """Take the next event."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, ScalarEvent):
            self._add(self._scalar(event, line, column), event.anchor)
        elif isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._begin(event, line, column)
        elif isinstance(event, SequenceEndEvent | MappingEndEvent):
            closed = self._open.pop()
            self._add(closed.node, closed.anchor)
        elif isinstance(event, AliasEvent):
            self._add(self._aliased(event.anchor, line, column), None)
        elif isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise UnreadableYaml(line, column, "there is a second document", "keep one spec in a file")

    def _begin(self, event: Any, line: int, column: int) -> None:
        is_list = isinstance(event, SequenceStartEvent)
        if event.tag is not None and str(event.tag) not in ("!!seq", "!!map", "!", *_CORE_COLLECTIONS):
            what = f"the tag {shown(str(event.tag))} is not known"
            self.complaints.append(Complaint(line, column, what, "remove it: a spec has only plain data"))
        if len(self._open) >= DEEPEST:
            raise UnreadableYaml(line, column, f"nested deeper than {DEEPEST} levels", "make it flatter")
        node = Node(line, column, [] if is_list else {}, keys=None if is_list else {})
        self._count(line, column)
        self._open.append(_Open(node, event.anchor))

    def _scalar(self, event: Any, line: int, column: int) -> Node:
        self._count(line, column)
        value: Scalar = event.value
        try:
            if event.tag is not None:
                value = tagged_scalar(str(event.tag), event.value)
            elif event.implicit[0]:
                value = plain_scalar(event.value)
        except BadValue as bad:
            self.complaints.append(Complaint(line, column, bad.what, bad.fix))
        return Node(line, column, value, text=event.value)

    def _aliased(self, anchor: str, line: int, column: int) -> Node:
        if any(each.anchor == anchor for each in self._open):
            raise UnreadableYaml(line, column, f"the alias {shown(anchor)} contains itself", "write the value out")
        target = self._anchors.get(anchor)
        if target is None:
            raise UnreadableYaml(line, column, f"the alias {shown(anchor)} has no anchor before it", "define it")
        return target

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = self.root or node
            return
        top = self._open[-1]
        self._grow(top.node, node)
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif top.key is None:
            top.key = node
        else:
            self._set(top.node, top.key, node)
            top.key = None

    def _set(self, mapping: Node, key: Node, node: Node) -> None:
        assert isinstance(mapping.value, dict)
        assert mapping.keys is not None
        name = key.value
        if not isinstance(name, str):
            said = shown(key.text) if key.text else "a key that is no text"
            self.complaints.append(Complaint(key.line, key.column, f"{said} is not a name", "quote it"))
        elif name == "<<":
            fix = "write the keys out: merging is not part of YAML 1.2"
            self.complaints.append(Complaint(key.line, key.column, "`<<` is not supported", fix))
        elif name in mapping.value:
            what = f"the key {shown(name)} is there twice (first in line {mapping.keys[name][0]})"
            self.complaints.append(Complaint(key.line, key.column, what, "keep one of them"))
        else:
            mapping.value[name] = node
            mapping.keys[name] = (key.line, key.column)

    def _grow(self, parent: Node, child: Node) -> None:
        parent.size += child.size
        parent.height = max(parent.height, child.height + 1)
        if parent.size > MOST_EXPANDED:
            what = f"aliases expand to more than {MOST_EXPANDED:,} values"
            raise UnreadableYaml(parent.line, parent.column, what, "write out what is meant")
        if len(self._open) + child.height > DEEPEST:
            raise UnreadableYaml(child.line, child.column, f"nested deeper than {DEEPEST} levels", "make it flatter")

    def _count(self, line: int, column: int) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            what = f"there are more than {MOST_NODES:,} values"
            raise UnreadableYaml(line, column, what, "split the spec, or use seeds, replicas or --each-line")


_CORE_COLLECTIONS = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")

FOREIGN_FAULTS = (
    YAMLError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
)
"""What ruamel.yaml raises on hostile text, beside its own errors."""


def _events(text: str) -> Iterator[Any]:
    """ruamel's events; its errors become ours, with the place."""
    line, column = 1, 1
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line, column = event.end_mark.line + 1, event.end_mark.column + 1
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (line, column)
        what = " ".join(filter(None, (error.context, error.problem))) or "this is not YAML"
        fix = "check indentation, brackets and quotes here"
        raise UnreadableYaml(line, column, f"not YAML: {_one_line(what)}", fix) from None
    except FOREIGN_FAULTS as error:
        what = f"not YAML after this place: {_one_line(str(error))}"
        raise UnreadableYaml(line, column, what, "check escapes, quotes and brackets") from None


def _one_line(text: str) -> str:
    return shown(" ".join(text.split()), longest=200)[1:-1]
