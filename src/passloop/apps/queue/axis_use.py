"""Axes that nothing uses while the command has braces of nearly the same name: misspelt, and told before any cell runs.

It looks at names alone; braces that are like no unused axis are the command's own and are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from passloop.apps.spec_file import SpecFile
from passloop.apps.templates import INDEX, PYTHON, Template
from passloop.apps.text import shown
from passloop.apps.yaml_nodes import Complaint, Node

from .spec import SweepSpec
from .spec_checks import REPLICA, SEED

__all__ = ["misspelt_axes"]

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ALIKE = 0.6


def misspelt_axes(file: SpecFile, spec: SweepSpec) -> Iterator[Complaint]:
    """A complaint at every axis that is used nowhere and is nearly the name in some unknown braces."""
    places = dict(_places(file))
    names = (PYTHON, INDEX, SEED, REPLICA, *places)
    unknown = Template(spec.command, names).unknown
    unused = [name for name in places if name not in _used(spec, names)] if unknown else []
    for name in unused:
        near = _nearest(name, unknown)
        if near:
            what = f"the axis {shown(name)} is used nowhere, but the command has {shown('{' + near + '}')}"
            yield Complaint(*places[name], what, f"did you mean `{near}`? Write both alike")


def _used(spec: SweepSpec, names: tuple[str, ...]) -> frozenset[str]:
    patterns = [*spec.command, *spec.env.values(), spec.name or "", spec.key or "", spec.cwd or ""]
    conditions = (WORD.findall(text) for text in spec.when)
    return Template(patterns, names).used.union(*spec.exclude, *conditions)


def _places(file: SpecFile) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where each axis of `matrix` and `zip` is named: line and column."""
    linked = file.root.child("zip")
    groups = linked.value if linked is not None and isinstance(linked.value, list) else [linked]
    for node in (file.root.child("matrix"), *groups):
        if isinstance(node, Node) and node.keys:
            yield from node.keys.items()


def _nearest(name: str, unknown: tuple[str, ...]) -> str:
    import difflib  # here, because no spec without unknown braces should pay for it

    alike = {each.lower(): each for each in unknown}
    close = difflib.get_close_matches(name.lower(), alike, n=1, cutoff=ALIKE)
    return alike[close[0]] if close else ""
